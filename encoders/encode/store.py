"""The folder of a run: its parts, whole or not there, and a lock, so that a killed run goes on where it was.

A part has a number: `.carina/parts/00007.npy` (vectors, float32, a row a key), `maps/maps-00007.safetensors` (where
maps are wanted) and, written last, `.carina/parts/00007.json`, which says what the two hold. Files without it are
left-overs of a killed run and get overwritten.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

STORE_FOLDER = ".carina"


class FilmFacts(NamedTuple):
    """What is known of a film address."""

    pixels_sha256: str
    view: str | None
    view_source: str | None


class LockError(ValueError):
    """Another run is writing into the folder."""


class Store:
    """All that earlier runs left in a folder.

    films: by film address; vectors: key -> part and row; maps: maps key -> part; damaged: parts that cannot be used
    and why; their films are encoded again.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output / STORE_FOLDER
        self.parts = self.folder / "parts"
        self.films: dict[str, FilmFacts] = {}
        self.vectors: dict[str, tuple[int, int]] = {}
        self.maps: dict[str, int] = {}
        self.damaged: dict[str, str] = {}

    def load(self) -> Store:
        """Read what the parts say; called again, what has been added since."""
        for path in sorted(self.parts.glob("*.json")):
            try:
                told = json.loads(path.read_text(encoding="utf-8"))
                self._check(int(path.stem), told)
            except (OSError, ValueError, KeyError) as error:
                self.damaged[path.name] = str(error)
                continue
            self._add(int(path.stem), told)
        return self

    def drop_damaged(self) -> None:
        """Forget them; the lock must be held."""
        for name in self.damaged:
            (self.parts / name).unlink()

    def holds(self, key: str, maps_key: str | None) -> bool:
        """Whether it has this vector, and these maps where any are named."""
        return key in self.vectors and (maps_key is None or maps_key in self.maps)

    @property
    def next_part(self) -> int:
        return 1 + max((int(path.stem) for path in self.parts.glob("*.json")), default=-1)

    def shard(self, part: int) -> Path:
        return self.output / "maps" / f"maps-{part:05}.safetensors"

    def vectors_of(self, part: int) -> NDArray[np.float32]:
        """N,D of a part, mapped from the disk."""
        vectors_ND: NDArray[np.float32] = np.load(self.parts / f"{part:05}.npy", mmap_mode="r")
        return vectors_ND

    def write_part(
        self,
        part: int,
        films: Mapping[str, FilmFacts],
        vectors: Mapping[str, NDArray[np.float32]],
        maps: Sequence[str],
        write_shard: Callable[[Path], None] | None,
    ) -> None:
        """Put a part on the disk, its description last.

        Args:
            films: by address; vectors: by key, all of one width; maps: the maps keys in the shard.
            write_shard: writes them to the path given; None where there are none.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        sizes = {}
        if vectors:
            block_ND = np.stack(list(vectors.values()))
            with whole_file(self.parts / f"{part:05}.npy") as path, path.open("wb") as file:
                np.save(file, block_ND)
            sizes["vectors"] = (self.parts / f"{part:05}.npy").stat().st_size
        if write_shard is not None:
            with whole_file(self.shard(part)) as path:
                write_shard(path)
            sizes["maps"] = self.shard(part).stat().st_size
        told = {"films": films, "vectors": list(vectors), "maps": list(maps), "bytes": sizes}
        with whole_file(self.parts / f"{part:05}.json") as path:
            path.write_text(json.dumps(told), encoding="utf-8")
        self._add(part, told)

    def _check(self, part: int, told: Mapping[str, Any]) -> None:
        files = {"vectors": self.parts / f"{part:05}.npy", "maps": self.shard(part)}
        for name, size in told["bytes"].items():
            found = files[name].stat().st_size
            if found != size:
                raise ValueError(f"{files[name].name} has {found:,} bytes where {size:,} were written")

    def _add(self, part: int, told: Mapping[str, Any]) -> None:
        self.films |= {address: FilmFacts(*facts) for address, facts in told["films"].items()}
        self.vectors |= {key: (part, row) for row, key in enumerate(told["vectors"])}
        self.maps |= dict.fromkeys(told["maps"], part)


@contextlib.contextmanager
def locked(output: Path) -> Iterator[None]:
    """Hold a run's folder, made if need be; a killed holder lets go of it.

    Raises:
        LockError: another run holds it.
    """
    folder = output / STORE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    lock = sqlite3.connect(folder / "lock", timeout=0, isolation_level=None)  # a lock that every system has
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        raise LockError(
            f"another encode-images is writing into {output} ({error}); wait for it, or name another -o"
        ) from None
    try:
        yield
    finally:
        lock.close()


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to, moved to `path` when all of it is on the disk: whoever sees `path` sees all of it."""
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
