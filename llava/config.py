"""Everything a training run can be told: one TOML file; flags override single keys.

The defaults of the stages are those of LLaVA-1.5 (haotian-liu/LLaVA, scripts/v1_5); what MAIRA-2 changed stands in the
shipped files of `llava/configs`, with what no source confirms marked there.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

Part = Literal["projector", "language_model", "encoder"]
PARTS: tuple[Part, ...] = ("encoder", "projector", "language_model")
Control = Literal["shuffled_images", "blank_images", "no_prior_report"]
_Positive = Annotated[int, Field(ge=1)]
_Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Beta = Annotated[float, Field(ge=0, lt=1)]
_Share = Annotated[float, Field(ge=0, le=1)]


class ConfigError(ValueError):
    """A setting that is unknown, out of range or at odds with another; the message names it."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")  # a misspelt key is an error


class EncoderSettings(_Settings):
    """The vision encoder, as `encoders.load_encoder` takes it.

    layers: None feeds the tokens that the encoder's contract gives a language model (MAIRA-2: the last layer after its
    final norm); else these layers, joined along their width. norm: of `layers` only; "final" applies the encoder's last
    norm to each, None takes a block's output as it is (LLaVA-1.5: layers = [-2], no norm).
    """

    name: str
    weights: str
    revision: str | None = None
    image_size_px: _Positive | None = None
    preprocessing: str | None = None
    accept_licence: bool = False
    layers: tuple[int, ...] | None = None
    norm: Literal["final"] | None = None

    @model_validator(mode="after")
    def _norm_is_of_layers(self) -> Self:
        if self.norm is not None and self.layers is None:
            raise ValueError("norm needs layers, for example layers = [-1]; without them the contract decides")
        if self.layers == ():
            raise ValueError("layers is empty; leave it out for the encoder's own tokens, or name some, such as [-1]")
        return self


class RopeSettings(_Settings):
    """Linear scaling of rotary positions (Chen et al. 2023, arXiv 2306.15595): a factor of 1.5 makes 6,144 positions of
    Vicuna's 4,096. The same for every encoder, or a comparison of encoders is one of context lengths too."""

    type: Literal["linear"] = "linear"
    factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0


class LanguageModelSettings(_Settings):
    """Any causal language model of transformers.

    path: a folder in Hugging Face's layout, or "org/name@commit" of the hub. chat: "vicuna" writes turns as Vicuna v1.1
    does, "tokenizer" as the tokenizer's own chat template. quantize: 4-bit base weights (QLoRA), which need `lora` in
    every stage that trains the language model.
    """

    path: str
    rope: RopeSettings = RopeSettings()
    chat: Literal["vicuna", "tokenizer"] = "vicuna"
    quantize: Literal["nf4"] | None = None


class ProjectorSettings(_Settings):
    """An MLP of num_layers linear layers with GELU between: 4 in MAIRA-2, 2 in LLaVA-1.5."""

    num_layers: _Positive = 4


class DataSettings(_Settings):
    """The tables of studies (`studies.records.GenerationStudy`: Parquet, JSONL, CSV) and what becomes of bad ones.

    root: folder that image paths are relative to; the table's own by default. prompt: name in prompts/generation, the
    newest version or "findings.v1". max_tokens: the context; None is the language model's after rope scaling.
    on_bad_study: "error" ends the run at the first study that cannot be used, "skip" leaves it out, counts it and
    writes it to failures.jsonl, up to max_bad_share of the table. workers: processes that read and tokenise.
    """

    train: Path
    validation: Path | None = None
    root: Path | None = None
    prompt: str = "findings"
    max_tokens: _Positive | None = None
    on_bad_study: Literal["error", "skip"] = "error"
    max_bad_share: _Share = 0.01
    skip_guards: tuple[str, ...] = ()
    workers: Annotated[int, Field(ge=0)] = 2


class LoraSettings(_Settings):
    """Low-rank adapters on the linear layers of the language model whose name ends in one of `targets`; never on the
    encoder or the projector (peft's "all-linear" would take both)."""

    rank: _Positive = 128
    alpha: _Positive = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05  # 1 would let nothing through to learn from
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )


class StageSettings(_Settings):
    """One stage: which parts learn, for how long, how fast. A stage begins with the weights the one before ended with.

    batch_studies: studies of one optimiser step over all processes, so that batches are the same for every encoder and
    any number of GPUs. learning_rates: of parts that differ from learning_rate. max_steps: ends a stage earlier; the
    schedule is then of that many steps.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    train: Annotated[tuple[Part, ...], Field(min_length=1)]
    epochs: _Positive = 1
    max_steps: _Positive | None = None
    batch_studies: _Positive = 128
    learning_rate: _Rate = 2e-5
    learning_rates: dict[Part, _Rate] = Field(default_factory=dict)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_ratio: _Share = 0.03
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    betas: tuple[_Beta, _Beta] = (0.9, 0.999)
    epsilon: _Rate = 1e-8
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0  # inf clips nothing
    lora: LoraSettings | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.train)) != len(self.train):
            raise ValueError(f"train names a part twice: {self.train}")
        idle = [part for part in self.learning_rates if part not in self.train]
        if idle:
            raise ValueError(f"learning_rates names {', '.join(idle)}, which this stage does not train")
        if self.lora is not None and "language_model" not in self.train:
            raise ValueError('lora needs "language_model" among train')
        return self

    def rate_of(self, part: Part) -> float:
        return self.learning_rates.get(part, self.learning_rate)


class ComputeSettings(_Settings):
    """How a step is computed; none of it changes which studies are in it.

    token_budget: of one packed row, in tokens with images; the memory knob. A study longer than it has a row alone.
    packing: several studies a row, isolated from each other; off: a study a row. precision: bfloat16 computes in
    bfloat16 with float32 weights kept for the optimiser. attention: "packed_sdpa" is this project's own;
    "flash_attention_2" needs flash-attn. parallel: over the processes that accelerate or torchrun started;
    "auto" is ddp for several, none for one. liger: "auto" uses Liger's kernels where they are installed, on a GPU.
    """

    token_budget: _Positive = 8192
    packing: bool = True
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    attention: Literal["packed_sdpa", "flash_attention_2"] = "packed_sdpa"
    gradient_checkpointing: bool = True
    parallel: Literal["auto", "ddp", "fsdp2", "deepspeed"] = "auto"
    compile: bool = False
    liger: Literal["auto", "off"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"


class CheckpointSettings(_Settings):
    """When the state is saved. keep_last: newest states kept. keep_best: also those of the lowest validation loss."""

    every_steps: _Positive = 500
    keep_last: _Positive = 2
    keep_best: Annotated[int, Field(ge=0)] = 1


class ValidationSettings(_Settings):
    """What is measured on data.validation, at every checkpoint unless every_steps says otherwise.

    studies: how many, the same ones always (drawn by the seed); 0 takes all. generate: reports are generated for them
    and scored by `score-reports` in a process of its own, and again under each control: a model that scores the same
    with other patients' films does not look at them.
    """

    every_steps: _Positive | None = None
    studies: Annotated[int, Field(ge=0)] = 256
    generate: bool = True
    controls: tuple[Control, ...] = ("shuffled_images", "blank_images", "no_prior_report")
    max_new_tokens: _Positive = 300
    metrics: str = "rouge_l,incorrect_placement"


class LoggingSettings(_Settings):
    """tensorboard: event files in OUTPUT/tensorboard. wandb_project: also to Weights & Biases, numbers only."""

    every_steps: _Positive = 1
    tensorboard: bool = True
    wandb_project: str | None = None


class CostSettings(_Settings):
    """What --plan reckons with. gpu: name in `llava/planning/gpus.toml`. mfu: expected model FLOPs utilisation; 0.416
    was measured for MPT-13B at 4,096 tokens on 8 H100 (mosaicml/llm-foundry, benchmarks)."""

    gpu: str = "h100-80gb"
    gpus: _Positive = 8
    mfu: Annotated[float, Field(gt=0, le=1)] = 0.416
    usd_per_gpu_hour: Annotated[float, Field(ge=0)] | None = None


class TrainSettings(_Settings):
    """One run of `train-llava`."""

    output: Path
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0  # what torch takes
    encoder: EncoderSettings
    language_model: LanguageModelSettings
    projector: ProjectorSettings = ProjectorSettings()
    data: DataSettings
    stages: Annotated[tuple[StageSettings, ...], Field(min_length=1)]
    compute: ComputeSettings = ComputeSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    validation: ValidationSettings = ValidationSettings()
    logging: LoggingSettings = LoggingSettings()
    cost: CostSettings = CostSettings()

    @field_validator("stages")
    @classmethod
    def _names_differ(cls, stages: tuple[StageSettings, ...]) -> tuple[StageSettings, ...]:
        names = [stage.name for stage in stages]
        if len(set(names)) != len(names):
            raise ValueError(f"two stages of one name: {names}")
        return stages

    @model_validator(mode="after")
    def _best_states_are_measured(self) -> Self:
        saved, measured = self.checkpoints.every_steps, self.validation.every_steps
        if self.checkpoints.keep_best and measured is not None and measured % saved:
            raise ValueError(
                f"validation.every_steps = {measured} is no multiple of checkpoints.every_steps = {saved}: losses of "
                "steps without a state cannot choose the best one; change either, or set checkpoints.keep_best = 0"
            )
        return self

    @model_validator(mode="after")
    def _quantized_needs_lora(self) -> Self:
        if self.language_model.quantize is not None:
            bare = [stage.name for stage in self.stages if "language_model" in stage.train and stage.lora is None]
            if bare:
                raise ValueError(
                    f"language_model.quantize needs lora in stage {', '.join(bare)}: 4-bit weights are frozen"
                )
        return self


def load_settings(file: Path, overrides: dict[str, Any] | None = None) -> TrainSettings:
    """Settings of a TOML file; paths of data and output are relative to the working directory, as on a command line.

    Args:
        overrides: dotted keys to values, such as {"stages.0.max_steps": 10, "output": "runs/a"}; None values are left
            out. A stage may be named in place of its number: "stages.tune.learning_rate".

    Raises:
        ConfigError: naming the setting, its value and what is allowed.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"config {file}: {error}") from None
    for key, value in (overrides or {}).items():
        if value is not None:
            _put(values, key, value)
    try:
        return TrainSettings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"config {file}: " + "; ".join(told(one) for one in error.errors())) from None


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    place: Any = values
    for name in path:
        if isinstance(place, list):
            found = [entry for number, entry in enumerate(place) if name in (str(number), entry.get("name"))]
            if not found:
                raise ConfigError(f"setting {key}: no stage {name!r}")
            place = found[0]
        else:
            place = place.setdefault(name, {})
    if not isinstance(place, dict):
        raise ConfigError(f"setting {key}: name a key of it, such as {key}.learning_rate")
    place[last] = value


def told(one: Any) -> str:
    """One of pydantic's errors, for the user."""
    name = ".".join(str(part) for part in one["loc"])
    if one["type"] == "missing":
        return f"{name} not given"
    if one["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name.split(".")[-1], _KEYS, 1)
        return f"{name} is no setting" + (f"; did you mean {close[0]}?" if close else "")
    value = f"{name} = {one['input']!r}: " if name and not isinstance(one["input"], dict) else f"{name}: " * bool(name)
    return value + str(one["msg"]).removeprefix("Value error, ")


_KEYS = sorted({key for model in (TrainSettings, *_Settings.__subclasses__()) for key in model.__annotations__})
