"""What a sweep is told: one TOML file. Only the encoder can differ between its runs, by construction.

Everything else is one base configuration, so that a difference between two runs is one between their encoders.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from encoders.encode.address import file_sha256
from llava.config import ConfigError, EncoderSettings, TrainSettings, load_settings, told
from llava.generate.settings import EngineName

_IDLE: dict[str, Any] = {  # changes no score
    "output": True,
    "logging": True,
    "cost": True,
    "data": {"workers"},
    "compute": {"device"},
}


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")  # a misspelt key is an error


class RunSettings(_Settings):
    """One encoder. series: the line of the figure that it belongs to, such as "MI2 reports + tubes".

    pretraining_studies: that the encoder was pretrained on; 0 for published weights as they are, which the figure
    shows as a dashed line.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    series: str
    pretraining_studies: Annotated[int, Field(ge=0)]
    encoder: EncoderSettings


class HeldOutSettings(_Settings):
    """On which studies reports are generated, and how; the table's findings are what they are scored against."""

    studies: Path
    root: Path | None = None
    engine: EngineName = "transformers"
    max_new_tokens: Annotated[int, Field(ge=1)] = 300


class SweepSettings(_Settings):
    """A sweep. train: the base configuration of train-llava, with `overrides` of its dotted keys.

    metrics, score_options: of score-reports; launch: the words before CONFIG that start a training, for several GPUs
    such as ["accelerate", "launch", "--num_processes", "8", "-m", "llava.train"].
    """

    output: Path
    train: Path
    overrides: dict[str, Any] = Field(default_factory=dict)
    test: HeldOutSettings
    metrics: str = "rouge_l,incorrect_placement"
    score_options: tuple[str, ...] = ()
    launch: tuple[str, ...] = ()
    runs: Annotated[tuple[RunSettings, ...], Field(min_length=1)]

    @field_validator("overrides")
    @classmethod
    def _same_for_all(cls, overrides: dict[str, Any]) -> dict[str, Any]:
        wrong = [key for key in overrides if key.split(".")[0] in ("encoder", "output")]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} cannot be overridden: runs give the encoder, the sweep the output")
        return overrides

    @field_validator("runs")
    @classmethod
    def _names_differ(cls, runs: tuple[RunSettings, ...]) -> tuple[RunSettings, ...]:
        names = [run.name for run in runs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"runs of one name: {', '.join(twice)}")
        return runs

    def folder(self, run: RunSettings) -> Path:
        return self.output / run.name

    def training_overrides(self, run: RunSettings) -> dict[str, Any]:
        """What this run changes of the base configuration."""
        encoder = run.encoder.model_dump(mode="json", exclude_none=True)
        return {**self.overrides, "encoder": encoder, "output": str(self.folder(run) / "train")}

    def training(self, run: RunSettings) -> TrainSettings:
        """Everything that this run's training is told.

        Raises:
            ConfigError: the base configuration or an override is wrong.
        """
        from llava.running import config_file

        return load_settings(config_file(self.train), self.training_overrides(run))

    def identity(self, run: RunSettings) -> str:
        """SHA-256 of all that decides this run's scores: settings, tables and files of weights by their contents."""
        training = self.training(run)
        read = (self.test.studies, training.data.train, training.data.validation, Path(run.encoder.weights))
        parts = [
            training.model_dump(mode="json", exclude=_IDLE),
            self.test.model_dump(mode="json"),
            self.metrics,
            self.score_options,
            [None if path is None else _contents(path) for path in read],
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _contents(path: Path) -> str | None:
    """None where there is nothing of that name, such as for weights of the hub."""
    if path.is_file():
        return file_sha256(path)
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    return " ".join(f"{file.relative_to(path)} {file_sha256(file)}" for file in files) or None


def load_sweep(file: Path, output: Path | None = None) -> SweepSettings:
    """The sweep of a TOML file, every run's training settings checked; output: in place of the file's.

    Raises:
        ConfigError: naming the setting, its value and what is allowed.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
        if output is not None:
            values["output"] = output
        sweep = SweepSettings.model_validate(values)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"sweep {file}: {error}") from None
    except ValidationError as error:
        raise ConfigError(f"sweep {file}: " + "; ".join(told(one) for one in error.errors())) from None
    for run in sweep.runs:
        sweep.training(run)
    return sweep
