"""One process or many: where the model lives, how gradients meet, how the whole weights come back.

accelerate starts the process group and finds the device. What becomes of gradients is short enough to be said here:
"ddp" sums them after a step's last row; FSDP2 is torch's own `fully_shard`, since accelerate turns its FSDP on for GPUs
only and this must be tested without any. "deepspeed" is `llava.training.zero3`.

Gradients are SUMS over processes: a loss divided by the supervised tokens of all processes gives the same step at any
number of them.

Precision "bfloat16": weights that learn, the sums of their gradients and the optimiser are float32; what is computed of
them is bfloat16, through autocast, or through FSDP2's own policy, which has a bfloat16 residual stream too.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from llava.config import ComputeSettings
from llava.training.outline import hand_out
from llava.training.parts import checkpoint_activations, decoder_layers, hold_frozen_low, module_of
from llava.training.quantization import dequantized_state
from llava.training.zero3 import Zero3, import_deepspeed

_PIECE = 16 * 2**20  # gradients summed at a time: 64 MB
_PATIENCE = timedelta(hours=2)  # of those that wait while the first downloads, saves or scores; NCCL's own: 10 minutes


class Parallel:
    """What a trainer asks of its processes. Make one a run, and `prepare` a model for every stage.

    kind: how several processes share the work; "none" in one.
    """

    def __init__(self, settings: ComputeSettings) -> None:
        if settings.device == "cuda" and not torch.cuda.is_available():
            raise ValueError('compute.device = "cuda": this process sees no CUDA device; set "cpu" or "auto"')
        from accelerate import Accelerator, InitProcessGroupKwargs

        on_cpu = settings.device == "cpu" or not torch.cuda.is_available()
        patience = InitProcessGroupKwargs(timeout=_PATIENCE)
        self._accelerator = Accelerator(cpu=on_cpu, mixed_precision="no", kwargs_handlers=[patience])
        self._settings = settings
        self._learning: list[nn.Parameter] = []
        self._zero: Zero3 | None = None
        self._max_norm = 0.0
        self._exact: dict[str, Tensor] = {}
        self.rank: int = self._accelerator.process_index
        self.world_size: int = self._accelerator.num_processes
        self.device: torch.device = self._accelerator.device
        self.kind: Literal["none", "ddp", "fsdp2", "deepspeed"] = "none"
        if self.world_size > 1:
            self.kind = "ddp" if settings.parallel == "auto" else settings.parallel
        if self.kind == "deepspeed":
            import_deepspeed(self.device)  # refused before anything is read

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def one_reads(self) -> bool:
        """Whether `prepare` takes all weights from the first process, so that no other has to read them."""
        return self.kind == "fsdp2"

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """The model on its device, or sharded over all of them, and the optimiser over what became of its parameters.

        `set_trainable` comes before, loading a training state after. Every process brings the same model; where
        `one_reads`, any but the first may bring its outline.

        Raises:
            ValueError: the optimiser has stepped already, or the model cannot checkpoint activations or be sharded.
        """
        if optimizer.state:
            raise ValueError("the optimiser has a state already: prepare comes before loading one")
        if self._settings.gradient_checkpointing:
            checkpoint_activations(model)
        if self.kind == "deepspeed":
            self._zero = Zero3(model, optimizer, device=self.device, precision=self._settings.precision)
            return self._zero.engine, self._zero.optimizer
        exact = hold_frozen_low(model) if self._settings.precision == "bfloat16" else {}
        self._exact = exact if self.is_main else {}  # the first process saves
        if self.kind == "fsdp2":
            _shard(model, optimizer, self.device, self._settings.precision)
        else:
            model.to(self.device)
        if self.kind == "ddp":
            self._learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
            for parameter in self._learning:
                torch.distributed.broadcast(parameter.data, 0)
        return model, optimizer

    def forget(self) -> None:
        """Let go of a stage's model, before the next one is read beside it."""
        self._learning, self._exact, self._zero = [], {}, None

    def autocast(self) -> AbstractContextManager[Any]:
        """Round every forward pass with this, in training and in validation."""
        if self._settings.precision == "float32" or self.kind == "fsdp2":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def backward(self, loss: Tensor, last: bool) -> None:
        """Add this loss's gradients to the prepared model's; after the step's last row they are sums over processes.

        Every process calls this equally often in a step, with rows of zero loss where it has fewer. FSDP2 and DeepSpeed
        sum after every row: gradients that wait to be summed would be whole, 4 bytes a weight on every GPU.
        """
        mean_of = self.world_size if self.kind in ("fsdp2", "deepspeed") else 1  # they take the mean over processes
        if self._zero is not None:
            self._zero.backward(loss * mean_of, last=last)
            return
        (loss * mean_of).backward()  # type: ignore[no-untyped-call]
        if self.kind == "ddp" and last:
            self._sum_gradients()

    def _sum_gradients(self) -> None:
        """Piece by piece, not one by one: each is a message, and for its time a copy."""
        found = self.all_max([float(parameter.grad is not None) for parameter in self._learning])
        piece: list[Tensor] = []
        for parameter, somewhere in zip(self._learning, found, strict=True):
            if somewhere:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                piece.append(parameter.grad)
            if sum(gradient.numel() for gradient in piece) >= _PIECE:
                _all_reduce(piece)
                piece = []
        if piece:
            _all_reduce(piece)

    def clip(self, model: nn.Module, max_norm: float) -> float:
        """Scale gradients down to this norm over all weights that learn, and give the norm they had."""
        if self._zero is not None:
            self._max_norm = max_norm  # it scales them as it steps
            return math.sqrt(self.all_sum([self._zero.squared_norm()])[0])
        norm = nn.utils.clip_grad_norm_([weight for weight in model.parameters() if weight.requires_grad], max_norm)
        return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)

    def step(self, optimizer: Optimizer) -> None:
        """Change the weights and forget the gradients."""
        if self._zero is not None:
            self._zero.step(self._max_norm)
            return
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def all_sum(self, values: Sequence[float]) -> list[float]:
        """Sums over processes, in float64."""
        return self._reduced(values, "SUM")

    def all_max(self, values: Sequence[float]) -> list[float]:
        """The largest of each over processes, in float64."""
        return self._reduced(values, "MAX")

    def _reduced(self, values: Sequence[float], how: str) -> list[float]:
        numbers = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        if self.world_size > 1:
            torch.distributed.all_reduce(numbers, getattr(torch.distributed.ReduceOp, how))
        return [float(number) for number in numbers.tolist()]

    def full_state(self, model: nn.Module) -> dict[str, Tensor]:
        """All weights, whole, on the CPU, under the model's own names and as precise as they were loaded or learnt.

        All processes call it; the first one gets them, the others nothing.
        """
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

        if self._zero is not None:
            return self._zero.full_state(keep=self.is_main)
        if self.kind == "fsdp2":
            options = StateDictOptions(full_state_dict=True, cpu_offload=True)
            state: dict[str, Any] = get_model_state_dict(model, options=options)
        else:
            own = dequantized_state(model, model.state_dict()) if self.is_main else {}
            state = {name: value.detach().cpu() for name, value in own.items()}
        return {name: self._exact.get(name, value) for name, value in state.items()}

    def save_state(self, folder: Path) -> bool:
        """Write DeepSpeed's training state, in all processes; False, and nothing, where torch's own format does."""
        if self._zero is None:
            return False
        self._zero.save(folder)
        return True

    def load_state(self, folder: Path) -> bool:
        """Read what `save_state` wrote, in all processes; False, and nothing, where it was not DeepSpeed's.

        Raises:
            ValueError: another number of processes wrote it.
        """
        if self._zero is None:
            return False
        self._zero.load(folder)
        return True


def units(model: nn.Module) -> list[nn.Module | list[nn.Module]]:
    """What FSDP2 gathers and frees together: the encoder, the projector, the embeddings, each layer of the language
    model, and its last norm with the head. A head that is the embeddings is the root's, which holds both.

    Raises:
        ValueError: the language model's class does not say what its layers are.
    """
    language_model: Any = module_of(model, "language_model")
    whole: Any = model
    embeddings, head = language_model.get_input_embeddings(), whole.get_output_embeddings()
    layers = decoder_layers(model)
    if not layers:
        raise ValueError(
            f"{type(language_model).__name__} does not name its layers (_no_split_modules), so it cannot be sharded; "
            'set compute.parallel = "ddp"'
        )
    found: list[nn.Module | list[nn.Module]] = [module_of(model, "encoder"), module_of(model, "projector"), *layers]
    if head.weight is not embeddings.weight:
        norm = getattr(language_model, "norm", None)
        found += [embeddings, [head] if norm is None else [norm, head]]
    return found


def _shard(model: nn.Module, optimizer: Optimizer, device: torch.device, precision: str) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = [[names[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["params"] = []  # who still knows a whole parameter keeps it on the device beside its shards
    low = torch.bfloat16 if precision == "bfloat16" else None
    policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32)
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    for unit in [*units(model), model]:
        hand_out(unit, device)
        fully_shard(unit, mesh=mesh, mp_policy=policy)
    # it warns of every last linear layer, lest its output is written into; nothing does
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    sharded = dict(model.named_parameters())
    for group, members in zip(optimizer.param_groups, groups, strict=True):
        group["params"] = [sharded[name] for name in members]


def _all_reduce(tensors: Sequence[Tensor]) -> None:
    joined = torch.cat([tensor.reshape(-1) for tensor in tensors])
    torch.distributed.all_reduce(joined)
    begin = 0
    for tensor in tensors:
        tensor.copy_(joined[begin : begin + tensor.numel()].view_as(tensor))
        begin += tensor.numel()
