"""A checkpoint ready to generate: with its adapters, where it has some, added to the weights that they adapt."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import nn

from llava.checksums import checked
from llava.folder import Loaded, load_model
from llava.generate.settings import Place
from llava.model_files import weights_hash
from llava.training.adapters import FOLDER, load_adapter, merge_adapter, refuse_lost_adapter


def load_merged(folder: Path, place: Place) -> Loaded:
    """A plain model, in evaluation mode.

    Raises:
        ValueError: the checkpoint or its adapters are damaged, or not what they say.
    """
    if not has_adapter(folder):
        loaded = load_model(folder, dtype=place.dtype, device=place.device)
        refuse_lost_adapter(folder, loaded.record)
        return loaded
    loaded = load_model(folder)  # float32: rounded weights would lose small adapters
    model: nn.Module = loaded.model
    load_adapter(model, folder / FOLDER)
    merge_adapter(model)
    if place.dtype == "bfloat16":
        for parameter in model.parameters():  # not buffers: rotary frequencies stay float32
            parameter.data = parameter.data.bfloat16()
    model.to(place.device).eval()
    return loaded


def weights_key(folder: Path) -> str:
    """A hash of all weights of a checkpoint, adapters among them.

    Raises:
        ValueError: it has none, or a file is not as it was written.
    """
    weights = weights_hash(folder)
    if not has_adapter(folder):
        return weights
    adapters = [f"{sha256}  {name}" for name, sha256 in sorted(checked(folder / FOLDER).items())]
    return hashlib.sha256("\n".join([weights, *adapters]).encode()).hexdigest()


def has_adapter(folder: Path) -> bool:
    """Whether adapters lie beside a checkpoint's weights."""
    return (folder / FOLDER / "adapter_config.json").is_file()


def require_merged(folder: Path) -> None:
    """Raises:
    ValueError: adapters lie beside the weights, and what reads them cannot add them.
    """
    if has_adapter(folder):
        raise ValueError(
            f"{folder} has LoRA adapters beside its weights, which vLLM would not see: "
            f"python -m llava export {folder} -o MERGED, then give MERGED"
        )
