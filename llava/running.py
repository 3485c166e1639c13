"""One run of `train-llava`, from its settings to its exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from llava.config import ConfigError, TrainSettings, load_settings
from llava.console import Screen
from llava.planning.kinds import Assumed
from llava.training.stop import StoppedError
from llava.training.together import RefusedError

if TYPE_CHECKING:
    from llava.progress.events import Event

EXIT_OK, EXIT_MACHINE, EXIT_USE, EXIT_STOPPED = 0, 1, 2, 130
_GOES_ON = "states that were saved remain, the same command goes on from the newest"

logging.getLogger("llava").addHandler(logging.NullHandler())  # what its modules warn of, the screen says


def train_llava(config: Path, overrides: Mapping[str, Any], *, plan: bool, assumed: Assumed) -> int:
    """Do the run and give its exit code; every message for the user goes through the screen."""
    rank = int(os.environ.get("RANK", "0"))
    screen = Screen("train-llava" if rank == 0 else f"train-llava (process {rank})", quiet=rank > 0)
    # afterwards: what went wrong is said before losses are drawn, for a launcher may end this process meanwhile
    with heard(screen), private_files(), contextlib.ExitStack() as afterwards:
        return exit_code(screen, lambda: _train(config, overrides, screen, afterwards, plan, assumed), _GOES_ON)


def config_file(given: Path) -> Path:
    """A file, or the shipped one of that name, with or without its ending.

    Raises:
        ConfigError: neither; the message lists what is shipped.
    """
    if given.exists():
        return given
    shipped = {Path(one.name).stem: Path(str(one)) for one in files("llava").joinpath("configs").iterdir()}
    if str(given.parent) == "." and given.stem in shipped:
        return shipped[given.stem]
    raise ConfigError(f"config {given} does not exist; shipped are {', '.join(sorted(shipped))}")


def exit_code(screen: Screen, run: Callable[[], int], remains: str = "nothing was written") -> int:
    """What a command's work gives, or the code of its failure, with one line for the user.

    remains: what is left after the machine failed or the user stopped it, by Ctrl-C or SIGTERM.
    """
    try:
        with _terminated_as_interrupted():
            return run()
    except (
        ValueError,
        FileNotFoundError,
        FileExistsError,
        IsADirectoryError,
        NotADirectoryError,
        PermissionError,
    ) as error:
        named = isinstance(error, OSError) and error.filename
        screen.error(f"{error.filename}: {error.strerror}" if named else str(error))  # type: ignore[union-attr]
        return EXIT_USE
    except StoppedError as stopped:
        screen.say(str(stopped))
        return EXIT_STOPPED
    except KeyboardInterrupt:
        screen.error(f"stopped; {remains}")
        return EXIT_STOPPED
    except RefusedError:
        return EXIT_USE  # the first process says why
    except (OSError, RuntimeError) as error:  # the disk; a process that died; a GPU that is full
        screen.error(f"{str(error).strip()}; {remains}")
        return EXIT_MACHINE


class Terminated(KeyboardInterrupt):
    """SIGTERM came: what cleans up after Ctrl-C does so after this."""


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    # one of several processes may wait in C for one that is gone, where no handler of Python's runs: SIGTERM ends it
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if several or threading.current_thread() is not threading.main_thread():  # other threads cannot set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """Reports, and names of patients' films, are for this user only."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def heard(screen: Screen) -> Iterator[None]:
    """Shows what the modules warn of."""
    handler = _Said(screen)
    loggers = [logging.getLogger(name) for name in ("encoders", "llava")]
    for one in loggers:
        one.addHandler(handler)
    try:
        yield
    finally:
        for one in loggers:
            one.removeHandler(handler)


class _Said(logging.Handler):
    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.WARNING)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.say(f"note: {record.getMessage()}")


def _train(
    config: Path,
    overrides: Mapping[str, Any],
    screen: Screen,
    afterwards: contextlib.ExitStack,
    plan: bool,
    assumed: Assumed,
) -> int:
    settings = load_settings(config_file(config), dict(overrides))
    if plan:
        from llava.planning.plan import plan as make_plan

        screen.plan(make_plan(settings, assumed))
        return EXIT_OK
    if assumed != Assumed():
        raise ConfigError("--studies, --text-tokens and --images are assumptions of --plan")
    from llava.trainer import train
    from llava.training.state import StateError

    watch = _Watch(settings, screen)
    afterwards.callback(watch.plot)
    try:
        with watch:
            folder = train(settings, watch.tell)
    except StateError as error:  # the disk is full, or lost what was on it
        screen.error(str(error))
        return EXIT_MACHINE
    screen.say(f"{folder}: the trained model; generate-reports --checkpoint {folder} --studies STUDIES -o OUT.jsonl")
    return EXIT_OK


class _Watch:
    """Journal, meter and display of a run; the trainer tells events in the first process only."""

    def __init__(self, settings: TrainSettings, screen: Screen) -> None:
        self._settings = settings
        self._screen = screen
        self._held = contextlib.ExitStack()
        self._stepped = False

    def __enter__(self) -> Self:
        if not self._screen.quiet:
            from llava.progress.journal import Journal

            self._meter = _meter(self._settings)
            self._journal = Journal(self._settings)
            self._held.callback(self._journal.close)
            self._view = self._held.enter_context(self._screen.training())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def tell(self, event: Event) -> None:
        from llava.progress.events import StageStarted, StepDone

        if isinstance(event, StageStarted):
            self._meter.start(event)
        reading = self._meter.read(event) if isinstance(event, StepDone) else None
        self._stepped = self._stepped or reading is not None
        self._journal.tell(event, reading)
        self._view.tell(event, reading)

    def plot(self) -> None:
        """Where a step was taken."""
        if not self._stepped:
            return
        from llava.progress.loss_plot import plot_losses

        try:
            self._screen.say(f"{plot_losses(self._settings.output)}: losses and learning rates")
        except (ValueError, OSError) as error:
            self._screen.say(f"losses were not drawn: {error}")


def _meter(settings: TrainSettings) -> Any:
    import torch

    from llava.planning.architecture import model_shape
    from llava.planning.gpus import peak_flops
    from llava.progress.meter import Meter

    compute = settings.compute
    on_gpu = compute.device != "cpu" and torch.cuda.is_available()
    known = on_gpu and compute.precision == "bfloat16"  # the peak in gpus.toml is bfloat16's
    return Meter(
        model_shape(settings),
        settings.stages,
        peak_flops=peak_flops(torch.cuda.get_device_name()) if known else None,
        world_size=int(os.environ.get("WORLD_SIZE", "1")),
        checkpointing=compute.gradient_checkpointing,
    )
