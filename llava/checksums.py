"""SHA256SUMS of a folder: what each of its files was when it was written.

A flipped byte in a weight loads, runs and writes fluent reports. The file is in the format of coreutils, so that
`sha256sum -c SHA256SUMS` says the same without this project.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from encoders.encode.address import file_sha256

FILE = "SHA256SUMS"


def write_checksums(folder: Path) -> None:
    """Of all files of the folder itself, not of folders in it."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != FILE)
    lines = [f"{sha256}  {name}\n" for name, sha256 in zip(names, _hashed(folder, names), strict=True)]
    (folder / FILE).write_text("".join(lines), encoding="utf-8")


def checked(folder: Path) -> dict[str, str]:
    """SHA-256 by file name, of files that are as they were written; about a second a gigabyte, some at once.

    A folder is read once in a process, unless its files change.

    Raises:
        ValueError: a file is missing or has other bytes, or there is no SHA256SUMS.
    """
    expected = _read(folder)
    missing = sorted(name for name in expected if not (folder / name).is_file())
    if missing:
        raise ValueError(f"{folder} has no {', '.join(missing)}, which {FILE} names; copy the folder again")
    for (name, wanted), found in zip(expected.items(), _hashed(folder, list(expected)), strict=True):
        if found != wanted:
            raise ValueError(
                f"{folder / name} is damaged, or was edited: its SHA-256 is {found[:12]}..., and {FILE} says "
                f"{wanted[:12]}...; copy it again (if it was edited on purpose, write {FILE} again with sha256sum)"
            )
    return expected


def _read(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"{folder / FILE}: {error.strerror}; it is written with the folder: copy it too") from None
    except UnicodeDecodeError:
        raise ValueError(f"{folder / FILE} is damaged: it is no text; copy it again") from None
    found = {}
    for line in lines:
        sha256, _, name = line.partition("  ")
        if len(sha256) != 64 or not name or Path(name).name != name:
            raise ValueError(f"{folder / FILE} is damaged: {line[:80]!r} is no SHA-256 and name; copy it again")
        found[name] = sha256
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
