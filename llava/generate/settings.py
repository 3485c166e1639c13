"""What `generate-reports` can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from llava.config import ConfigError, Control

EngineName = Literal["transformers", "vllm"]
_Positive = Annotated[int, Field(ge=1)]
_Share = Annotated[float, Field(ge=0, le=1)]
_STUDIES_AT_ONCE: dict[EngineName, int] = {"transformers": 8, "vllm": 256}


class GenerateSettings(BaseModel):
    """One run of `generate-reports`.

    checkpoint: a model folder, or the output folder of a training run. studies: a table of
    `studies.records.GenerationStudy` (Parquet, JSONL, CSV); root: folder that its image paths are relative to. output:
    a JSONL file; beside it OUTPUT's failures and record. batch_size: studies handed to the engine at once; 8 for
    transformers, which pads them to one length; 256 for vLLM, which schedules them by itself (their image tokens wait
    in memory: 42 MB a study with three films of 1,369 tokens of width 5,120 in bfloat16). max_new_tokens: 300 as the
    examples of MAIRA-2's model card. temperature: 0 is greedy; else each study draws from a generator of its own,
    seeded by seed and study id, so that its report does not depend on the batch it was in. control: a blind control
    (`llava.generate.controls`). limit: only the first studies of the table. on_bad_study: "skip" lists a study that
    cannot be used and goes on; more than max_failures of all make exit code 3. parity_studies: vLLM must write what
    transformers writes on so many studies before a run starts (`llava.generate.parity`); 0 switches that off.
    gpu_memory: share of the GPU's memory that vLLM takes; the encoder needs some of the rest. workers: processes that
    read films.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")  # a misspelt key is an error

    checkpoint: Path
    studies: Path
    output: Path
    root: Path | None = None
    engine: EngineName = "transformers"
    batch_size: _Positive | None = None
    max_new_tokens: _Positive = 300
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0  # what vLLM takes
    seed: Annotated[int, Field(ge=0)] = 0
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    control: Control | None = None
    limit: _Positive | None = None
    on_bad_study: Literal["skip", "error"] = "skip"
    max_failures: _Share = 0.01
    skip_guards: tuple[str, ...] = ()
    parity_studies: Annotated[int, Field(ge=0)] = 64
    gpu_memory: Annotated[float, Field(gt=0, lt=1)] = 0.85
    workers: Annotated[int, Field(ge=0)] = 2
    overwrite: bool = False

    @model_validator(mode="after")
    def _output_is_jsonl(self) -> Self:
        if self.output.suffix != ".jsonl":
            raise ValueError(f"output {self.output} must be a file that ends in .jsonl")
        if self.output.resolve() == self.studies.resolve():
            raise ValueError(f"output {self.output} is the table of studies, which it would replace")
        if self.output.is_dir():
            raise ValueError(f"output {self.output} is a folder")
        idle = sorted({"gpu_memory", "parity_studies"} & self.model_fields_set)
        if self.engine != "vllm" and idle:
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in idle)
            raise ValueError(f"{flags} would do nothing: only --engine vllm reads it")
        return self

    @property
    def decoding(self) -> Decoding:
        return Decoding(self.max_new_tokens, self.temperature, self.seed)

    @property
    def studies_at_once(self) -> int:
        return self.batch_size or _STUDIES_AT_ONCE[self.engine]


class Decoding(NamedTuple):
    """What decides the words beside the model: as in `GenerateSettings`."""

    max_new_tokens: int
    temperature: float = 0.0
    seed: int = 0


class Place(NamedTuple):
    """Where and how exactly a model computes. device: "cpu" or "cuda"; dtype: "bfloat16" or "float32"."""

    device: str
    dtype: Literal["bfloat16", "float32"]


def make_settings(flags: dict[str, Any]) -> GenerateSettings:
    """Settings of a command line; None values are left out.

    Raises:
        ConfigError: naming the flag, its value and what is allowed.
    """
    try:
        return GenerateSettings.model_validate({name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        raise ConfigError("; ".join(_told(one) for one in error.errors())) from None


def place(device: str, dtype: str) -> Place:
    """What "auto" is here: a GPU in bfloat16 where there is one, else the CPU in float32.

    Raises:
        ValueError: "cuda" without a GPU.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, and torch sees no GPU here; use --device cpu")
    found = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    if dtype == "float32" or (dtype == "auto" and found == "cpu"):
        return Place(found, "float32")
    return Place(found, "bfloat16")


def _told(one: Any) -> str:
    name = "--" + "-".join(str(part) for part in one["loc"]).replace("_", "-") if one["loc"] else ""
    message = str(one["msg"]).removeprefix("Value error, ")
    return f"{name} {one['input']!r}: {message}" if name else message
