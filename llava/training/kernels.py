"""Faster ways to compute the same: torch.compile, and Liger's kernels for a language model on a GPU."""

from __future__ import annotations

import importlib
import logging
from importlib import metadata
from typing import Any

import torch
from torch import nn

from llava.config import ComputeSettings
from llava.training.parts import decoder_layers, module_of

logger = logging.getLogger(__name__)


def use_kernels(model: nn.Module, compute: ComputeSettings) -> list[str]:
    """Apply what the settings and this machine allow, before the model is sharded; gives what was applied.

    Such as ["liger 0.8.5 (llama)", "compile"], for the run's record; [] for none.
    """
    applied = []
    on_gpu = compute.device != "cpu" and torch.cuda.is_available()
    if compute.liger == "auto" and on_gpu and (liger := apply_liger(model)) is not None:
        applied.append(liger)
    if compute.compile:
        compile_layers(model)
        applied.append("compile")
    logger.info("kernels: %s", ", ".join(applied) or "transformers' own")
    return applied


def compile_layers(model: nn.Module) -> None:
    """Compile the norms and the MLP of each layer of the language model, in place: names and weights stay.

    Not attention, which goes study by study and would be compiled anew for every row, nor a layer as a whole: torch
    compiles nothing of a layer whose activations are checkpointed when part of it cannot be. Not the encoder either, a
    hundredth of the work, which would be compiled anew for every number of films. Lengths are compiled as unknowns,
    since nearly every row has another.
    """
    for layer in decoder_layers(model):
        for name, child in layer.named_children():
            if "attn" not in name and "attention" not in name:
                child.compile(dynamic=True)


def apply_liger(model: nn.Module) -> str | None:
    """Liger's RMSNorm, rotary positions and gated MLP (arXiv 2410.10989) in the language model; its name and version,
    or None where it is not installed or does not know the model.

    Not its fused loss: the head sees supervised tokens only. Liger also puts its rotary positions and classes in place
    of transformers' own for this type of model, in the whole process, which needs a GPU from then on.
    """
    version = liger_version()
    if version is None:
        return None
    patches: Any = importlib.import_module("liger_kernel.transformers.monkey_patch")
    language_model: Any = module_of(model, "language_model")
    kind = language_model.config.model_type  # ours, cxr_llava, is unknown to Liger
    if kind not in patches.MODEL_TYPE_TO_APPLY_LIGER_FN:
        logger.info("Liger has no kernels for %s", kind)
        return None
    patches._apply_liger_kernel_to_instance(language_model, cross_entropy=False, fused_linear_cross_entropy=False)
    return f"liger {version} ({kind})"


def liger_version() -> str | None:
    """Of the installed package; None where there is none."""
    try:
        return metadata.version("liger-kernel")
    except metadata.PackageNotFoundError:
        return None
