"""Everything one run of `label-reports` can be told; a TOML file gives it, flags override it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from labeling.runtime.settings import ConfigError, ModelSettings, load_settings


class LabelConfig(ModelSettings):
    """Settings of one run."""

    prompt: str = ""
    input: str = "-"  # standard input
    output: Path | None = None
    id_column: str | None = None
    text_column: str | None = None
    encoding: str = "utf-8"

    store: Path | None = None
    placement_tables: Path | None = None
    max_failures: Annotated[float, Field(ge=0, le=1)] = 0.01
    allow_bad_rows: bool = False
    limit: Annotated[int, Field(ge=1)] | None = None
    sample: Annotated[int, Field(ge=1)] | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _known_suffix(self) -> Self:
        if self.output is not None and self.output.suffix.lower() not in {".jsonl", ".parquet", ".csv"}:
            raise ValueError(f"output {self.output}: suffix must be .jsonl, .parquet or .csv")
        return self

    @property
    def store_path(self) -> Path:
        """Where answers are kept: in `.carina` beside the output, unless told otherwise."""
        folder = self.store or (self.output.parent if self.output else Path()) / ".carina"
        return folder / "answers.sqlite"


def load_config(file: Path | None, flags: dict[str, Any]) -> LabelConfig:
    """Settings from a TOML file, overridden by the flags that were given (not None).

    Raises:
        ConfigError: naming the setting, its value and what is allowed.
    """
    config = load_settings(LabelConfig, file, flags)
    if not config.prompt:
        raise ConfigError("no prompt given; say what to ask with --prompt, for example all or chest_tube")
    return config
