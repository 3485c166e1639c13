"""Reads, checks and prepares films in several processes; one that cannot be used becomes a row, not an end."""

from __future__ import annotations

import functools
import hashlib
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.encode.address import code_sha256, file_sha256, pixels_sha256
from encoders.preprocessing.guards import Guard
from encoders.preprocessing.prepare import normalize, to_levels
from encoders.preprocessing.recipe import Recipe
from studies.images import read_film

_READING = ("studies/*.py", "encoders/preprocessing/*.py")  # the code that decides what a file's pixels are
_CHUNK = 8  # films a process hands over at once


class Read(NamedTuple):
    """A film as a decoding process gives it. place: in the list asked for; address: of its file's bytes and of how
    they were read; levels_HW: the recipe's input before it is normalised, a quarter of a normalised one's bytes."""

    place: int
    address: str
    pixels_sha256: str
    view: str | None
    view_source: str | None
    levels_HW: NDArray[Any]


class Failed(NamedTuple):
    """error: the exception's class; message: what it says."""

    place: int
    error: str
    message: str


class Done(NamedTuple):
    """What became of films. addresses: of each one with features, by its place; encoded: how many of them now."""

    addresses: dict[int, str]
    failed: list[Failed]
    encoded: int


@dataclass(frozen=True)
class Reading:
    """How films are read. skip_guards: checks that are not made; views: what the user's table says of a path, which
    the guards take in place of the film's tags."""

    recipe: Recipe
    skip_guards: tuple[Guard, ...] = ()
    views: Mapping[str, str] = field(default_factory=dict)

    @functools.cached_property
    def _way(self) -> str:
        decoders = [metadata.version(name) for name in ("imagecodecs", "pillow", "pydicom")]
        code = code_sha256(*_READING)
        return f"{code} {decoders} {self.recipe.sha256} {sorted(self.skip_guards)}"  # a recipe has guards too

    def address(self, file_hash: str, path: str) -> str:
        return hashlib.sha256(f"{file_hash} {self.views.get(path)} {self._way}".encode()).hexdigest()

    def read(self, place: int, path: str) -> Read | Failed:
        """Never raises for a file's sake, whatever a decoder makes of it."""
        try:
            film = read_film(path, voi=self.recipe.intensity.voi)
            seen = replace(film, view=self.views[path]) if path in self.views else film
            levels_HW = to_levels(seen, self.recipe, skip_guards=self.skip_guards)
            address = self.address(file_sha256(path), path)
        except Exception as error:
            return Failed(place, type(error).__name__, str(error))
        return Read(place, address, pixels_sha256(film), film.view, film.view_source, levels_HW)


def hash_files(paths: Sequence[str], threads: int, on_done: Callable[[int], None]) -> list[str | None]:
    """sha256 of each file; None where it cannot be read, which `Reading.read` will explain."""

    def one(path: str) -> str | None:
        try:
            return file_sha256(path) if Path(path).is_file() else None  # opening a pipe would wait for ever
        except OSError:
            return None

    found = []
    with ThreadPoolExecutor(threads) as pool:
        for done, hashed in enumerate(pool.map(one, paths), 1):
            found.append(hashed)
            on_done(done)
    return found


def read_films(reading: Reading, paths: Sequence[tuple[int, str]], *, workers: int) -> Iterator[list[Read | Failed]]:
    """Every path's film or failure in a few at a time, in order; workers = 0 reads in this process.

    Raises:
        RuntimeError: a decoding process died.
    """
    if workers == 0:
        for place, path in paths:
            yield [reading.read(place, path)]
        return
    from torch.utils.data import DataLoader

    # numpy through pipes, not tensors through shared memory: containers often have but 64 MB of that
    yield from DataLoader(
        _Films(reading, paths),  # type: ignore[arg-type]  # a list is all that it needs
        batch_size=_CHUNK,
        collate_fn=_as_it_is,
        num_workers=workers,
        multiprocessing_context="spawn",  # forking a process that holds a GPU or threads is not safe
        worker_init_fn=_leave_interrupts_to_the_parent,
    )


class _Films:
    def __init__(self, reading: Reading, paths: Sequence[tuple[int, str]]) -> None:
        self._reading = reading
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Read | Failed:
        return self._reading.read(*self._paths[index])


def _as_it_is(batch: list[Any]) -> list[Any]:
    return batch


def _leave_interrupts_to_the_parent(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def level_table(recipe: Recipe) -> NDArray[np.float32] | None:
    """What normalisation makes of each of 256 levels: C,L. None for a recipe whose levels are not bytes."""
    if recipe.intensity.bit_depth != 8:
        return None
    return normalize(np.arange(256, dtype=np.uint8)[None], recipe)[:, 0]
