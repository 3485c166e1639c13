"""Training states: what a killed run needs to go on as if nothing had happened.

A state is a folder `states/step_00000100`: `llava.training.state_tensors`, which any number of processes can read
(DeepSpeed has its own, which as many can read as wrote it), and `state.json`. It is written beside its place and moved
there when all of it is on the disk, so a folder of that name is whole. No generator's state is in it: what is drawn at
a step is drawn from a seed that the step gives.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torch.distributed.checkpoint.api import CheckpointException

from llava.training.state_tensors import num_bytes, put_tensors, read_tensors, read_weights, tensors_of, write_tensors
from llava.training.together import on_first

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from llava.training.parallel import Parallel

logger = logging.getLogger(__name__)

_TOLD = "state.json"


class StateError(ValueError):
    """A state could not be written, or the one to go on from does not fit the model."""


class State(NamedTuple):
    """A whole state. step: steps done. validation_loss: None where it was not measured, NaN where it is no number."""

    folder: Path
    step: int
    validation_loss: float | None


class States:
    """The states of one stage. All processes call `save` and `load` together; the first one does the rest."""

    def __init__(self, folder: Path, parallel: Parallel) -> None:
        self.folder = folder
        self._parallel = parallel

    def found(self) -> list[State]:
        """All whole states, oldest first. One whose files are not as they were written is passed over, and logged."""
        found = []
        for path in sorted(self.folder.glob("step_*")):
            if path.suffix == ".part":
                continue
            try:
                found.append(read_state(path))
            except StateError as error:
                logger.warning("%s; it is passed over", error)
        return found

    def newest(self) -> State | None:
        return max(self.found(), key=lambda state: state.step, default=None)

    def best(self) -> State | None:
        """That of the lowest validation loss, the later of two; None where none was measured."""
        return next(iter(_best_first(self.found())), None)

    def save(self, step: int, model: nn.Module, optimizer: Optimizer) -> Path:
        """Write the state after `step` steps of a model and an optimiser that `Parallel.prepare` gave.

        Raises:
            StateError: the disk is full, or the folder cannot be written. Earlier states stay as they are, and nothing
                is left of this one.
        """
        place = self.folder / f"step_{step:08}"
        part = place.with_name(place.name + ".part")
        needed = None
        try:
            on_first(self._parallel, lambda: _begin(part))
            if not self._parallel.save_state(part):
                tensors = tensors_of(model, optimizer)
                needed = num_bytes(tensors)
                write_tensors(tensors, part)
            on_first(self._parallel, lambda: _finish(part, place, step))
        except (OSError, RuntimeError, CheckpointException) as error:  # in all processes, if in one
            if self._parallel.is_main:
                shutil.rmtree(part, ignore_errors=True)
            raise _refused(place, error, needed) from None
        return place

    def load(self, state: State, model: nn.Module, optimizer: Optimizer) -> None:
        """Put a state into a model and an optimiser that has not stepped yet, however many processes wrote it.

        Raises:
            StateError: it is of other parameters, or cannot be read.
        """
        try:
            if self._parallel.load_state(state.folder):
                return
            tensors = read_tensors(state.folder, model, optimizer)
        except (OSError, ValueError, RuntimeError, CheckpointException) as error:
            raise StateError(
                f"training state {state.folder}: {reason_of(error)}; remove that folder to go on from the one before"
            ) from None
        put_tensors(tensors, model, optimizer)

    def set_validation_loss(self, step: int, loss: float) -> None:
        """Note it with the state of this step, where there is one."""
        place = self.folder / f"step_{step:08}"
        if self._parallel.is_main and (place / _TOLD).exists():
            told = json.loads((place / _TOLD).read_text(encoding="utf-8"))
            part = place / f"{_TOLD}.part"
            part.write_text(json.dumps(told | {"validation_loss": loss}, indent=1), encoding="utf-8")
            _sync(part)
            part.replace(place / _TOLD)

    def prune(self, *, keep_last: int, keep_best: int) -> None:
        """Remove all but the newest states and those of the lowest validation loss, and what killed saves left."""
        if not self._parallel.is_main:
            return
        found = sorted(self.found(), key=lambda state: state.step)
        kept = {state.folder for state in (*found[-keep_last:], *_best_first(found)[:keep_best])}
        for path in [state.folder for state in found if state.folder not in kept] + list(self.folder.glob("*.part")):
            _remove(path)


def read_state(folder: Path) -> State:
    """
    Raises:
        StateError: it is no training state, or its files are not as they were written.
    """
    try:
        told = json.loads((folder / _TOLD).read_text(encoding="utf-8"))
        for name, size in told["bytes"].items():
            there = (folder / name).stat().st_size
            if there != size:
                raise ValueError(f"{name} has {there:,} bytes where {size:,} were written")
        return State(folder, int(told["step"]), told["validation_loss"])
    except (OSError, ValueError, KeyError) as error:
        raise StateError(f"training state {folder} cannot be used: {error}") from None


def is_state(folder: Path) -> bool:
    """Whether this looks like a training state."""
    return (folder / _TOLD).is_file()


def load_weights(state: State, model: nn.Module) -> None:
    """Put the weights of a state, whatever number of processes wrote it, into a model whose parts learn as its did.

    Raises:
        StateError: it is of other parameters, or cannot be read.
    """
    try:
        read_weights(state.folder, model)
    except (OSError, ValueError, RuntimeError, CheckpointException) as error:
        raise StateError(f"training state {state.folder}: {reason_of(error)}") from None


def _best_first(states: Iterable[State]) -> list[State]:
    """Those of a validation loss, the lowest first, of equal ones the later."""
    measured = [state for state in states if state.validation_loss is not None and math.isfinite(state.validation_loss)]
    return sorted(measured, key=lambda state: (state.validation_loss, -state.step))


def _begin(part: Path) -> None:
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)


def _finish(part: Path, place: Path, step: int) -> None:
    """All is written and synced but for what says so."""
    files = [path for path in sorted(part.rglob("*")) if path.is_file()]
    sizes = {path.relative_to(part).as_posix(): path.stat().st_size for path in files}
    (part / _TOLD).write_text(
        json.dumps({"format": 1, "step": step, "validation_loss": None, "bytes": sizes}, indent=1)
    )
    _remove(place)  # of the same step, where a damaged one was passed over
    publish(part, place)


def publish(part: Path, place: Path) -> None:
    """Give a folder its name when all of it is on the disk: whoever sees `place`, after a power cut too, sees all."""
    for path in sorted(part.rglob("*")):
        _sync(path)
    _sync(part)
    part.rename(place)
    _sync(place.parent)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _remove(place: Path) -> None:
    """Its name first: a removal that is killed leaves no half state."""
    if place.exists():
        gone = place if place.suffix == ".part" else place.rename(place.with_name(place.name + ".old.part"))
        shutil.rmtree(gone)


def _refused(place: Path, error: BaseException, needed: int | None) -> StateError:
    free = shutil.disk_usage(place.parent).free
    needs = "" if needed is None else f"it needs {_size(needed)}, "
    return StateError(
        f"the training state {place} could not be written: {reason_of(error)} ({needs}"
        f"{_size(free)} are free there); make room and give the same command again: it goes on from the newest state "
        "that is whole"
    )


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:,.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:,.1f} MB"


def reason_of(error: BaseException) -> str:
    """The first process's trouble in one line."""
    if isinstance(error, CheckpointException) and error.failures:
        error = next(iter(error.failures.values()))[0]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = (str(error) or type(error).__name__).splitlines()[0]
    # torch's writer tells of its own place in a file, not of the system's error beneath
    return "a file could not be written to its end" if "inline_container" in said else said
