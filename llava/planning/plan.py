"""What a run will take, before anything starts: weights, memory, tokens, GPU-hours, dollars. No weight is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from llava.config import StageSettings, TrainSettings
from llava.planning.architecture import language_model_config, model_shape
from llava.planning.flops import Flops, ModelShape
from llava.planning.gpus import Gpu, gpu
from llava.planning.kinds import Assumed, Kind, kinds_of, mixed
from llava.planning.memory import SAVED_BYTES, Memory, frozen_weights, memory_per_gpu, trained_weights

_TARGET_SHARE = 1 / 3  # of the text, the findings


class KindCost(NamedTuple):
    """flops: of training on one such study in the dearest stage. gpu_hours: of an epoch in which all studies were of
    this kind. kv_bytes: that it leaves in the cache of generation."""

    kind: Kind
    flops: Flops
    gpu_hours: float
    kv_bytes: float


class StageCost(NamedTuple):
    """studies: that are trained on, over all epochs. saved_bytes: of one training state on disk. usd: None where no
    price is given."""

    name: str
    steps: int
    studies: int
    trained: dict[str, int]
    frozen: dict[str, int]
    memory: Memory
    saved_bytes: float
    gpu_hours: float
    usd: float | None


class Plan(NamedTuple):
    """counted: whether the studies are those of the table, data.train, or assumed. one_reads: whether one process reads
    all weights for all. dearest: the stage whose studies cost most, which `kinds` and `mix` are of."""

    table: Path
    counted: bool
    model: ModelShape
    gpu: Gpu
    gpus: int
    one_reads: bool
    mfu: float
    context: int
    stages: list[StageCost]
    dearest: str
    kinds: list[KindCost]
    mix: KindCost
    warnings: list[str]

    @property
    def host_bytes(self) -> float:
        """Of all weights in float32, which a process that reads them has in its machine's memory as a stage begins."""
        model = self.model
        return 4.0 * (model.encoder.weights + model.projector_weights + model.language_model.weights)

    @property
    def gpu_hours(self) -> float:
        return sum(stage.gpu_hours for stage in self.stages)


def plan(settings: TrainSettings, assumed: Assumed | None = None) -> Plan:
    """
    Raises:
        ConfigError: a GPU or a language model that is not known.
        ValueError: a table that cannot be read, an encoder that there is not.
    """
    from llava.language_model import context_tokens, scale_rope

    chosen = gpu(settings.cost.gpu)
    path = settings.language_model.path
    config = language_model_config(path)
    scale_rope(config, settings.language_model.rope, path)
    context = settings.data.max_tokens or context_tokens(config)
    model = model_shape(settings)
    kinds, counted = kinds_of(settings, assumed or Assumed(), model.encoder.num_tokens)
    mix = mixed(kinds)
    rate = chosen.bf16_flops * settings.cost.mfu * 3600  # FLOPs of a GPU-hour
    stages = [_stage_cost(settings, stage, model, mix, context, rate) for stage in settings.stages]
    dearest = max(settings.stages, key=lambda stage: _training(model, settings, stage, mix).useful)
    *costs, mean = [_kind_cost(settings, dearest, model, kind, mix.studies / rate) for kind in (*kinds, mix)]
    warnings = list(_warnings(settings, model, context, chosen, kinds, stages))
    cost = settings.cost
    table = settings.data.train
    return Plan(
        table=table,
        counted=counted,
        model=model,
        gpu=chosen,
        gpus=cost.gpus,
        one_reads=settings.compute.parallel == "fsdp2" or cost.gpus == 1,
        mfu=cost.mfu,
        context=context,
        stages=stages,
        dearest=dearest.name,
        kinds=costs,
        mix=mean,
        warnings=warnings,
    )


def _stage_cost(
    settings: TrainSettings, stage: StageSettings, model: ModelShape, mix: Kind, context: int, rate: float
) -> StageCost:
    from llava.dataset.batching import steps_per_epoch

    steps = stage.epochs * steps_per_epoch(mix.studies, stage.batch_studies)
    studies = stage.epochs * mix.studies
    if stage.max_steps is not None and stage.max_steps < steps:
        steps, studies = stage.max_steps, min(studies, stage.max_steps * stage.batch_studies)
    hours = studies * _training(model, settings, stage, mix).useful / rate
    trained = trained_weights(model, stage)
    memory = memory_per_gpu(
        model,
        settings,
        stage,
        longest=min(mix.longest, context),
        images=mix.images / mix.tokens,
        supervised=_supervised(model, mix) / mix.tokens,
    )
    price = settings.cost.usd_per_gpu_hour
    return StageCost(
        name=stage.name,
        steps=steps,
        studies=studies,
        trained=trained,
        frozen=frozen_weights(model, stage),
        memory=memory,
        saved_bytes=SAVED_BYTES * sum(trained.values()),
        gpu_hours=hours,
        usd=None if price is None else hours * price,
    )


def _kind_cost(
    settings: TrainSettings, stage: StageSettings, model: ModelShape, kind: Kind, hours_a_flop: float
) -> KindCost:
    flops = _training(model, settings, stage, kind)
    return KindCost(kind, flops, flops.useful * hours_a_flop, kind.tokens * model.language_model.kv_bytes())


def _training(model: ModelShape, settings: TrainSettings, stage: StageSettings, kind: Kind) -> Flops:
    return model.training(
        stage,
        images=kind.images,
        tokens=kind.tokens,
        lengths2=kind.length2,
        supervised_tokens=_supervised(model, kind),
        checkpointing=settings.compute.gradient_checkpointing,
    )


def _supervised(model: ModelShape, kind: Kind) -> float:
    return _TARGET_SHARE * (kind.tokens - kind.images * model.encoder.num_tokens)


def _warnings(
    settings: TrainSettings, model: ModelShape, context: int, chosen: Gpu, kinds: list[Kind], stages: list[StageCost]
) -> Iterator[str]:
    image_tokens = model.encoder.num_tokens
    for kind in kinds:
        films = round(kind.images * image_tokens)
        words = f"{kind.images:.0f} image{'s' * (kind.images > 1)}"
        if films >= context:
            yield (
                f"{words} are {films:,} tokens, and the context is {context:,}: no word fits beside them; raise "
                "language_model.rope.factor or data.max_tokens, or take an encoder or image size of fewer tokens"
            )
        elif kind.longest > context:
            yield (
                f"studies of {words} reach {kind.longest:,} tokens, and the context is {context:,}: their prior "
                "reports are cut, and those that still do not fit are bad studies"
            )
    for stage in stages:
        if stage.memory.total > chosen.memory:
            yield (
                f"stage {stage.name} needs {stage.memory.total / 1e9:,.1f} GB on each GPU, and {chosen.name} has "
                f"{chosen.memory / 1e9:,.0f}: {_remedy(settings, stage.memory)}"
            )
    if settings.encoder.weights in ("twin", "tiny"):
        yield f'encoder.weights = "{settings.encoder.weights}" is random: a model trained on its features sees nothing'


def _remedy(settings: TrainSettings, memory: Memory) -> str:
    if memory.activations > memory.state + memory.frozen and not settings.compute.gradient_checkpointing:
        return "set compute.gradient_checkpointing = true"
    if memory.activations > memory.state + memory.frozen:
        return "lower compute.token_budget"
    if settings.compute.parallel in ("auto", "ddp") and settings.cost.gpus > 1:
        return 'set compute.parallel = "fsdp2"'
    return "take more GPUs, or LoRA"
