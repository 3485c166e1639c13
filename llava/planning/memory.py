"""Memory that a stage needs on each GPU, reckoned from sizes: state, frozen weights, activations.

Left out are CUDA's own context (under 1 GB) and what the allocator cannot use for being in pieces: leave a tenth free.
"""

from __future__ import annotations

from typing import NamedTuple

from llava.config import StageSettings, TrainSettings
from llava.planning.flops import ModelShape

STATE_BYTES = (
    16  # a weight that learns: float32 weight, gradient, and AdamW's two means (Rajbhandari et al. 2020, ZeRO)
)
SAVED_BYTES = 12  # the same on disk, where the gradient is not kept
_NF4_BYTES = 0.516  # 4 bits and 0.127 of constants, doubly quantised (Dettmers et al. 2023, QLoRA, section 3)
_LAYER_BYTES = 34  # a token and width, 16-bit, without attention's matrix (Korthikanti et al. 2022, equation 2)


class Memory(NamedTuple):
    """Bytes. state: of what learns; frozen: weights that don't; gathered: weights at work in computing precision,
    beside those; activations: of one packed row."""

    state: float
    frozen: float
    gathered: float
    activations: float

    @property
    def total(self) -> float:
        return sum(self)


def trained_weights(model: ModelShape, stage: StageSettings) -> dict[str, int]:
    """Weights that learn, by part; of a language model with LoRA its adapters."""
    whole = {
        "encoder": model.encoder.weights,
        "projector": model.projector_weights,
        "language_model": model.language_model.weights,
    }
    if stage.lora is not None:
        whole["language_model"] = model.language_model.lora_weights(stage.lora.targets, stage.lora.rank)
    return {part: count if part in stage.train else 0 for part, count in whole.items()}


def frozen_weights(model: ModelShape, stage: StageSettings) -> dict[str, int]:
    """Weights that don't learn, by part."""
    return {
        "encoder": 0 if "encoder" in stage.train else model.encoder.weights,
        "projector": 0 if "projector" in stage.train else model.projector_weights,
        "language_model": 0 if "language_model" in stage.train and stage.lora is None else model.language_model.weights,
    }


def memory_per_gpu(
    model: ModelShape,
    settings: TrainSettings,
    stage: StageSettings,
    *,
    longest: float,
    images: float,
    supervised: float,
) -> Memory:
    """
    Args:
        longest: tokens of the longest study. images, supervised: of a token of the data, mean.
    """
    compute, language_model = settings.compute, model.language_model
    sharded = compute.parallel in ("fsdp2", "deepspeed") and settings.cost.gpus > 1
    shares = settings.cost.gpus if sharded else 1
    width_bytes = 2 if compute.precision == "bfloat16" else 4
    trained = sum(trained_weights(model, stage).values())
    frozen = frozen_weights(model, stage)
    # of frozen weights the language model's alone are held in computing precision, and by DeepSpeed none
    held_bytes = 4 if compute.parallel == "deepspeed" else width_bytes
    frozen_bytes = 4.0 * (frozen["encoder"] + frozen["projector"]) + held_bytes * frozen["language_model"]
    if settings.language_model.quantize is not None and frozen["language_model"]:
        frozen_bytes -= (held_bytes - _NF4_BYTES) * language_model.product_weights
    if sharded:
        layer = language_model.product_weights / language_model.layers
        embeddings = language_model.vocab_size * language_model.width
        two = sorted([layer, layer, embeddings, model.projector_weights, model.encoder.weights])[-2:]
        gathered = width_bytes * sum(two) + 4 * two[-1]  # one at work, the next on its way, a gradient to be shared
    else:
        gathered = 2.0 * trained if width_bytes == 2 else 0.0  # autocast keeps a copy of each for the whole pass
    return Memory(
        state=STATE_BYTES * trained / shares,
        frozen=frozen_bytes / shares,
        gathered=gathered,
        activations=_activations(model, settings, stage, longest, images, supervised, sharded),
    )


def _activations(
    model: ModelShape,
    settings: TrainSettings,
    stage: StageSettings,
    longest: float,
    images: float,
    supervised: float,
    sharded: bool,
) -> float:
    compute, language_model = settings.compute, model.language_model
    tokens = max(compute.token_budget if compute.packing else 0, longest)
    width_bytes = 2 if compute.precision == "bfloat16" else 4
    whole = "language_model" in stage.train and stage.lora is None
    # of float32 embeddings autocast makes a float32 residual stream; FSDP2 casts the embeddings themselves
    stream_bytes = 4 if whole and not sharded else width_bytes
    layer = _LAYER_BYTES * width_bytes / 2 * language_model.width * tokens
    if compute.gradient_checkpointing:
        layers = language_model.layers * language_model.width * stream_bytes * tokens + layer
    else:
        layers = language_model.layers * layer
    logits = tokens * supervised * language_model.vocab_size * (width_bytes + 8)  # float32 too, and its gradient
    films = tokens * images
    encoder = model.encoder.kept_values if "encoder" in stage.train else 2 * model.encoder.largest_values
    projector = 2 * model.num_layers * language_model.width * model.encoder.num_tokens
    return layers + logits + films * width_bytes * (encoder + projector)
