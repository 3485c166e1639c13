"""What every command that may ask a language model can be told: which one, where, and how hard."""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from labeling.runtime.address import is_this_machine
from labeling.runtime.ask import Policy
from labeling.runtime.engine import Usage

if TYPE_CHECKING:  # the client takes a while to import, and most runs ask nobody
    from labeling.runtime.engines.endpoint import EndpointEngine

OPENAI_URL = "https://api.openai.com/v1"
_Config = TypeVar("_Config", bound=BaseModel)


class ConfigError(ValueError):
    """A setting that is unknown, out of range or at odds with another; the message names it."""


class ModelSettings(BaseModel):
    """The language model and its server. Prices are dollars per million tokens; other units are in the names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    @model_validator(mode="after")
    def _whole_prices(self) -> Self:
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
    def url(self) -> str:
        """Where the model is served."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL

    @property
    def policy(self) -> Policy:
        return Policy(
            concurrency=self.concurrency,
            max_attempts=self.max_attempts,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
        )

    def say_usage(self, usage: Usage) -> str:
        """Requests and tokens, failed attempts included, and the dollars they cost where prices are known. Cached
        tokens cost `price_cached`, or as much as any other."""
        said = (
            f"{usage.requests:,} requests, {usage.prompt_tokens:,} tokens in ({usage.cached_tokens:,} cached), "
            f"{usage.completion_tokens:,} out"
        )
        if self.price_in is None or self.price_out is None:
            return said
        cached_price = self.price_in if self.price_cached is None else self.price_cached
        fresh = usage.prompt_tokens - usage.cached_tokens
        spent = fresh * self.price_in + usage.cached_tokens * cached_price + usage.completion_tokens * self.price_out
        return f"{said}, ${spent / 1e6:,.2f}"


def check_address(settings: ModelSettings) -> None:
    """Nothing leaves this machine unless the user says so.

    Raises:
        ConfigError: the server is another machine and `allow_remote` was not given, or its address cannot be read.
    """
    try:
        here = is_this_machine(settings.url)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if not here and not settings.allow_remote:
        raise ConfigError(
            f"{settings.url} is not this machine: reports are patients' data and would be sent there. "
            "Add --allow-remote if you may send them, or serve a model here and name it with --base-url."
        )


@contextlib.asynccontextmanager
async def connect(settings: ModelSettings) -> AsyncIterator[EndpointEngine]:
    """The engine that asks the named model, or the only one that the server offers.

    Raises:
        ConfigError: no model is named and the server offers none or several.
        EngineError: the server cannot be asked which models it offers.
    """
    from labeling.runtime.engines.endpoint import EndpointEngine

    def engine(model: str) -> EndpointEngine:
        return EndpointEngine(
            model=model,
            base_url=settings.url,
            request_timeout_s=settings.request_timeout_s,
            temperature=None if settings.server_sampling else settings.temperature,
            seed=None if settings.server_sampling else 0,
            max_tokens=settings.max_tokens,
            structured=settings.structured_output,
        )

    model = settings.model
    if model is None:
        async with engine("") as unnamed:
            served = await unnamed.served_models()
        if len(served) != 1:
            raise ConfigError(f"{settings.url} serves {', '.join(served) or 'no model'}; name one with --model")
        model = served[0]
    async with engine(model) as ready:
        yield ready


def load_settings(kind: type[_Config], file: Path | None, flags: dict[str, Any]) -> _Config:
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
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = []
        for one in error.errors():
            name = ".".join(str(part) for part in one["loc"])
            given = "" if one["type"] == "missing" else f" = {one['input']!r}"
            problems.append((f"{name}{given}: " if name else "") + one["msg"].removeprefix("Value error, "))
        raise ConfigError("; ".join(problems)) from None
