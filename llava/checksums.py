"""SHA256SUMS of a folder: what each of its files was when it was written.

A flipped byte in a weight loads, runs and writes fluent reports. The file is in the format of coreutils, so that
`sha256sum -c SHA256SUMS` says the same without this project.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from encoders.encode.address import file_sha256

FILE = "SHA256SUMS"
_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64}) [ *](?:\./)?(?P<name>[^/]+)")  # "*" of sha256sum --binary


def write_checksums(folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Of all files of the folder itself, not of folders in it.

    Args:
        known: SHA-256 by file name, of files that need not be read again.
    """
    found = dict(known or {})
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != FILE)
    unknown = [name for name in names if name not in found]
    found |= zip(unknown, _hashed(folder, unknown), strict=True)
    lines = [f"{found[name]}  {name}\n" for name in names]
    (folder / FILE).write_text("".join(lines), encoding="utf-8")


def checked(folder: Path) -> dict[str, str]:
    """SHA-256 by file name, of files that are as they were written; about a second a gigabyte, some at once.

    A folder is read once in a process, unless its files change.

    Raises:
        ValueError: a file is missing or has other bytes, there is no SHA256SUMS, or it does not name weights that are
            there.
    """
    expected = read_checksums(folder)
    if unnamed := sorted(path.name for path in folder.glob("*.safetensors") if path.name not in expected):
        raise ValueError(
            f"{folder / FILE} does not name {', '.join(unnamed)}: it is not complete, or those are no files of this "
            "model; copy it again, or remove them"
        )
    missing = sorted(name for name in expected if not (folder / name).is_file())
    if missing:
        raise ValueError(f"{folder} has no {', '.join(missing)}, which {FILE} names; copy the folder again")
    for (name, wanted), found in zip(expected.items(), _hashed(folder, list(expected)), strict=True):
        if found != wanted:
            raise ValueError(
                f"{folder / name} is damaged, or was edited: its SHA-256 is {found[:12]}..., and {FILE} says "
                f"{wanted[:12]}...; copy it again (if it was edited on purpose, in that folder: sha256sum *.* > {FILE})"
            )
    return expected


def read_checksums(folder: Path) -> dict[str, str]:
    """SHA-256 by file name, as SHA256SUMS has it; no other file is read.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"{folder / FILE}: {error.strerror}; it is written with the folder: copy it too") from None
    except UnicodeDecodeError:
        raise ValueError(f"{folder / FILE} is damaged: it is no text; copy it again") from None
    found = {}
    for line in lines:
        named = _LINE.fullmatch(line)
        if named is None:
            raise ValueError(f"{folder / FILE} is damaged: {line[:80]!r} is no SHA-256 and name; copy it again")
        found[named["name"]] = named["sha256"]
    found.pop(FILE, None)  # `sha256sum * > SHA256SUMS` reads it while it is empty
    return found


def _hashed(folder: Path, names: list[str]) -> list[str]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # hashing holds no lock
        return list(pool.map(lambda name: _sha256(folder / name), names))


def _sha256(path: Path) -> str:
    stat = path.stat()
    return _sha256_of(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


@lru_cache(maxsize=4096)
def _sha256_of(path: Path, state: tuple[int, ...]) -> str:  # noqa: ARG001  # what a changed file differs in
    return file_sha256(path)
