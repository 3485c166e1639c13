"""Everything one run of `label-reports` can be told; a TOML file gives it, flags override it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

OPENAI_URL = "https://api.openai.com/v1"


class ConfigError(ValueError):
    """A setting that is unknown, out of range or at odds with another; the message names it."""


class LabelConfig(BaseModel):
    """Settings of one run. Prices are dollars per million tokens; every other unit is in the name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    input: str = "-"  # standard input
    output: Path | None = None
    id_column: str | None = None
    text_column: str | None = None
    encoding: str = "utf-8"

    model: str | None = None
    base_url: str | None = None
    allow_remote: bool = False
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    server_sampling: bool = False
    max_tokens: Annotated[int, Field(ge=16)] = 2048
    structured_output: Literal["json_schema", "json_object"] = "json_schema"
    request_timeout_s: Annotated[float, Field(gt=0)] = 120.0
    concurrency: Annotated[int, Field(ge=1, le=512)] = 64
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 5
    price_in: Annotated[float, Field(ge=0)] | None = None
    price_cached: Annotated[float, Field(ge=0)] | None = None
    price_out: Annotated[float, Field(ge=0)] | None = None

    store: Path | None = None
    placement_tables: Path | None = None
    max_failures: Annotated[float, Field(ge=0, le=1)] = 0.01
    allow_bad_rows: bool = False
    limit: Annotated[int, Field(ge=1)] | None = None
    sample: Annotated[int, Field(ge=1)] | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.output is not None and self.output.suffix.lower() not in {".jsonl", ".parquet", ".csv"}:
            raise ValueError(f"output {self.output}: suffix must be .jsonl, .parquet or .csv")
        if self.price_cached is not None and self.price_in is None:
            raise ValueError("price_cached needs price_in and price_out")
        if (self.price_in is None) != (self.price_out is None):
            raise ValueError("price_in and price_out must be given together")
        return self

    @property
    def uses_model(self) -> bool:
        """Whether a language model is asked: only when the user names one or a server."""
        return self.model is not None or self.base_url is not None

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
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"config {file}: {error}") from None
    values |= {name: value for name, value in flags.items() if value is not None}
    if "prompt" not in values:
        raise ConfigError("no prompt given; say what to ask with --prompt, for example all or chest_tube")
    try:
        return LabelConfig.model_validate(values)
    except ValidationError as error:
        problems = []
        for one in error.errors():
            name = ".".join(str(part) for part in one["loc"])
            shown = f"{name} = {one['input']!r}: " if name else ""
            problems.append(shown + one["msg"].removeprefix("Value error, "))
        raise ConfigError("; ".join(problems)) from None
