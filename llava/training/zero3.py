"""DeepSpeed's ZeRO stage 3 (Rajbhandari et al. 2020, arXiv 1910.02054): every weight in parts over the processes.

Weights, gradients and optimiser are float32, and bfloat16 is autocast's, so that a step is that of "ddp" in either
precision. A training state is DeepSpeed's own and is read by as many processes as wrote it.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_TAG = "zero3"


def import_deepspeed(device: torch.device) -> Any:
    """The package.

    Raises:
        ValueError: it is not installed, or cannot be loaded here.
    """
    if device.type == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # else it takes a GPU that is there and not wanted
    try:
        return importlib.import_module("deepspeed")
    except Exception as error:  # of all kinds, where a compiler or CUDA's own folder is looked for
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f'compute.parallel = "deepspeed" needs deepspeed, which cannot be imported here ({reason}): '
            'pip install deepspeed, or set compute.parallel = "fsdp2"'
        ) from None


class Zero3:
    """A model and its optimiser in DeepSpeed's hands; `engine` is called in the model's place."""

    def __init__(self, model: nn.Module, optimizer: Optimizer, *, device: torch.device, precision: str) -> None:
        self._deepspeed = import_deepspeed(device)
        self._deepspeed.init_distributed(dist_backend="gloo" if device.type == "cpu" else "nccl")
        config: dict[str, Any] = {
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": 1,  # where a step ends is said at each backward pass
            "zero_optimization": {"stage": 3},
            "zero_allow_untested_optimizer": True,
            "steps_per_print": 10**9,
        }
        if precision == "bfloat16":
            # no module is named whose weights and gradients may travel in 16 bits: sums are float32's
            config["torch_autocast"] = {"enabled": True, "dtype": "bfloat16", "lower_precision_safe_modules": []}
        self.engine, self.optimizer, *_ = self._deepspeed.initialize(
            model=model, optimizer=optimizer, config=config, dist_init_required=False
        )

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Adds the mean over processes."""
        self.engine.set_gradient_accumulation_boundary(last)
        self.engine.backward(loss)

    def squared_norm(self) -> float:
        """Of this process's part of the gradients."""
        read = importlib.import_module("deepspeed.utils").safe_get_local_grad
        parts = [read(weight) for weight in self.engine.module.parameters() if weight.requires_grad]
        return sum(float(part.double().square().sum()) for part in parts if part is not None)

    def step(self, max_norm: float) -> None:
        """One step, gradients scaled down to max_norm, and they are forgotten."""
        self.optimizer.clip_grad = max_norm
        self.engine.step()

    def full_state(self, *, keep: bool) -> dict[str, Tensor]:
        """All weights, whole, on the CPU; of a process that does not keep them, nothing."""
        module: nn.Module = self.engine.module
        state = {}
        for name, weight in module.named_parameters(remove_duplicate=False):
            with self._deepspeed.zero.GatheredParameters([weight]):
                if keep:
                    state[name] = weight.detach().cpu().clone()
        saved = module.state_dict().keys()
        buffers = {name: value.cpu() for name, value in module.named_buffers() if name in saved}
        return state | buffers if keep else {}

    def save(self, folder: Path) -> None:
        self.engine.save_checkpoint(str(folder), tag=_TAG, exclude_frozen_parameters=True)

    def load(self, folder: Path) -> None:
        """
        Raises:
            ValueError: another number of processes wrote it.
        """
        written = len(list((folder / _TAG).glob("*optim_states.pt")))
        processes = torch.distributed.get_world_size()
        if written != processes:
            raise ValueError(
                f"{written} processes of DeepSpeed wrote it and {processes} cannot read it; start {written}, or "
                'train with compute.parallel = "fsdp2", whose states any number reads'
            )
        self.engine.load_checkpoint(str(folder), tag=_TAG, load_module_strict=False)
