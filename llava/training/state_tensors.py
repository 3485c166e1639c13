"""The tensors of a training state, in torch's distributed format, which any number of processes reads.

By kind and name: "model", the weights that learn (float32) and the buffers; "optimizer", the moments of each weight.
Frozen weights are not among them: they are those of the stage's beginning.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

Tensors = dict[str, dict[str, Any]]

_PARTLY = StateDictOptions(strict=False)  # frozen weights are in no state


def tensors_of(model: nn.Module, optimizer: Optimizer) -> Tensors:
    """The tensors themselves, no copies; moments of nought where the optimiser has not stepped yet."""
    moments: Any = get_optimizer_state_dict(model, optimizer)["state"]
    return {"model": _weights(model), "optimizer": dict(moments)}


def num_bytes(tensors: Tensors) -> int:
    """Of all processes' parts."""
    moments = [value for of_weight in tensors["optimizer"].values() for value in of_weight.values()]
    return sum(value.numel() * value.element_size() for value in (*tensors["model"].values(), *moments))


def write_tensors(tensors: Tensors, folder: Path) -> None:
    """Each process its parts; on the disk when this returns."""
    with _alone():
        save(tensors, storage_writer=FileSystemWriter(folder, sync_files=True))


def read_tensors(folder: Path, model: nn.Module, optimizer: Optimizer) -> Tensors:
    """What `put_tensors` puts into a model and an optimiser that has not stepped yet.

    Raises:
        ValueError: they are of other parameters, or DeepSpeed's.
        OSError, RuntimeError, CheckpointException: they cannot be read.
    """
    tensors, stored = tensors_of(model, optimizer), _names_in(folder)
    _refuse_others(tensors["model"], stored)
    # none for a parameter that no gradient ever reached, as the optimiser had none
    tensors["optimizer"] = {name: one for name, one in tensors["optimizer"].items() if name in stored["optimizer"]}
    _read(tensors, folder)
    return tensors


def put_tensors(tensors: Tensors, model: nn.Module, optimizer: Optimizer) -> None:
    set_model_state_dict(model, tensors["model"], options=_PARTLY)
    groups = get_optimizer_state_dict(model, optimizer)["param_groups"]
    set_optimizer_state_dict(model, optimizer, {"state": tensors["optimizer"], "param_groups": groups}, options=_PARTLY)


def read_weights(folder: Path, model: nn.Module) -> None:
    """Put the weights alone into a model whose parts learn as that one's did.

    Raises:
        As `read_tensors`.
    """
    weights = _weights(model)
    _refuse_others(weights, _names_in(folder))
    _read({"model": weights}, folder)
    set_model_state_dict(model, weights, options=_PARTLY)


def _weights(model: nn.Module) -> dict[str, Any]:
    wanted = {name for name, weight in model.named_parameters() if weight.requires_grad}
    wanted |= {name for name, _ in model.named_buffers()}
    return {name: value for name, value in get_model_state_dict(model).items() if name in wanted}


def _refuse_others(weights: Mapping[str, Any], stored: Mapping[str, set[str]]) -> None:
    different = sorted(weights.keys() ^ stored["model"])
    if different:
        raise ValueError(f"it and the model differ in {len(different)} tensors, such as {different[0]}")


def _names_in(folder: Path) -> dict[str, set[str]]:
    if not (folder / ".metadata").exists():
        raise ValueError('it was written with compute.parallel = "deepspeed", which alone can read it (set that again)')
    found: dict[str, set[str]] = {"model": set(), "optimizer": set()}
    for key in FileSystemReader(folder).read_metadata().state_dict_metadata:
        kind, _, name = key.partition(".")
        found[kind].add(name if kind == "model" else name.rpartition(".")[0])  # layer.weight.exp_avg
    return found


def _read(tensors: Tensors, folder: Path) -> None:
    with _alone():
        load(tensors, checkpoint_id=folder)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """torch warns of a missing process group, without which one process is as good as several."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield
