"""AdamW with a learning rate for each part, and the schedule of rates as a function of the step.

Both follow the Trainer of transformers, with which LLaVA-1.5 was trained: what decays is what its
`get_decay_parameter_names` names, and the schedules are `get_cosine_schedule_with_warmup` and
`get_constant_schedule_with_warmup`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from llava.config import PARTS, StageSettings
from llava.training.parts import parameters_of

if TYPE_CHECKING:
    import torch
    from torch import nn

_UNDECAYED = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)")


def share_of_rate(step: int, steps: int, *, schedule: str, warmup_ratio: float) -> float:
    """What step `step` (from 0) of `steps` takes of the full learning rate, 0 to 1.

    It rises in a line over the first ceil(warmup_ratio * steps) steps, the first of which takes nothing, then stays
    ("constant") or falls along half a cosine to 0 ("cosine").
    """
    warmup = math.ceil(warmup_ratio * steps)
    if step < warmup:
        return step / warmup
    if schedule == "constant":
        return 1.0
    return max(0.0, 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))))


def learning_rates(stage: StageSettings, step: int, steps: int) -> dict[str, float]:
    """Of each part that the stage trains, at this step."""
    share = share_of_rate(step, steps, schedule=stage.schedule, warmup_ratio=stage.warmup_ratio)
    return {part: stage.rate_of(part) * share for part in PARTS if part in stage.train}


def build_optimizer(model: nn.Module, stage: StageSettings) -> torch.optim.AdamW:
    """AdamW on the parameters that require gradients, in groups by part and by whether they decay.

    Each group bears `part`. Norms and biases don't decay.
    """
    import torch

    undecayed = undecayed_names(model)
    groups = []
    for part in PARTS:
        if part not in stage.train:
            continue
        found = [(name, weight) for name, weight in parameters_of(model, part) if weight.requires_grad]
        for decays in (True, False):
            weights = [weight for name, weight in found if (name not in undecayed) == decays]
            if weights:
                groups.append({"params": weights, "weight_decay": stage.weight_decay * decays, "part": part})
    return torch.optim.AdamW(groups, lr=0.0, betas=stage.betas, eps=stage.epsilon)


def undecayed_names(model: nn.Module) -> set[str]:
    """Names of the parameters that are a norm's or a bias, by transformers' rule: the module's class, or the name."""
    from torch import nn

    inside_norms = {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
        for name, _ in module.named_parameters()
    }
    by_name = {name for name, _ in model.named_parameters() if _UNDECAYED.search(name.lower())}
    return inside_norms | by_name


def set_rates(optimizer: torch.optim.Optimizer, rates: Mapping[str, float]) -> None:
    """Give each group its part's rate."""
    for group in optimizer.param_groups:
        group["lr"] = rates[group["part"]]
