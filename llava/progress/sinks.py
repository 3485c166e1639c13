"""Where the numbers of a run go beside its log: TensorBoard's files, and Weights & Biases where it is asked for."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from llava.config import ConfigError, TrainSettings


class Sink(Protocol):
    """Where numbers of steps go."""

    def begin(self, stage: str, first_step: int) -> None: ...
    def numbers(self, stage: str, step: int, numbers: Mapping[str, float]) -> None: ...
    def close(self) -> None: ...


def make_sinks(settings: TrainSettings) -> list[Sink]:
    """
    Raises:
        ConfigError: wandb_project is set and wandb is not installed.
    """
    sinks: list[Sink] = []
    if settings.logging.tensorboard:
        sinks.append(TensorBoard(settings.output / "tensorboard"))
    if settings.logging.wandb_project is not None:
        sinks.append(Wandb(settings.logging.wandb_project, settings))
    return sinks


class TensorBoard:
    """A folder a stage, since steps are counted anew in each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def begin(self, stage: str, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.close()
        # purge_step: what an earlier run wrote from there on is not shown
        self._writer = SummaryWriter(str(self._folder / stage), purge_step=first_step + 1 if first_step else None)

    def numbers(self, stage: str, step: int, numbers: Mapping[str, float]) -> None:  # noqa: ARG002 - one a stage
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class Wandb:
    """Numbers only: no path but the output folder's last name, no console, no code, no description of the machine.

    A run of one output folder is one run there, resumed or not.
    """

    def __init__(self, project: str, settings: TrainSettings) -> None:
        try:
            wandb: Any = importlib.import_module("wandb")
        except ImportError:
            raise ConfigError(
                f"logging.wandb_project = {project!r} needs wandb, which is not installed: pip install 'wandb>=0.20'"
            ) from None
        self._wandb = wandb
        self._project = project
        self._settings = settings
        self._begun = False

    def begin(self, stage: str, first_step: int) -> None:  # noqa: ARG002 - steps seen twice overwrite
        if not self._begun:  # not before: a run that is refused its output folder has nothing to tell
            self._begin()
        self._wandb.define_metric(f"{stage}/step")
        self._wandb.define_metric(f"{stage}/*", step_metric=f"{stage}/step")

    def numbers(self, stage: str, step: int, numbers: Mapping[str, float]) -> None:
        self._wandb.log({f"{stage}/step": step} | {f"{stage}/{name}": value for name, value in numbers.items()})

    def close(self) -> None:
        if self._begun:
            self._wandb.finish()

    def _begin(self) -> None:
        output = self._settings.output
        self._wandb.init(
            project=self._project,
            name=output.name,
            dir=str(output),
            id=hashlib.sha256(str(output.resolve()).encode()).hexdigest()[:16],
            resume="allow",
            config=dict(_only_numbers(self._settings.model_dump(mode="json"))),
            settings=self._wandb.Settings(
                console="off",
                disable_git=True,
                save_code=False,
                x_disable_meta=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
            ),
        )
        self._begun = True


def _only_numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _only_numbers(one, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _only_numbers(one, f"{name}.{number}")
    elif isinstance(value, int | float):
        yield name, value
