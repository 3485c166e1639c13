"""Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on a generator's language model, through peft.

The adapters are put into the model as it is: its class, `forward` and `generate` stay what they were. Beside a model
they are a folder in peft's own format, which peft alone can load too. A projector that is trained with them is part of
the model, not of the adapters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from encoders.torchvision_shim import import_torchvision
from llava.checksums import checked, write_checksums
from llava.config import LoraSettings
from llava.training.quantization import dequantized, is_4bit

FOLDER = "adapter"
_NAME = "default"  # peft's, of a model's only adapter
_PREFIX = "base_model.model."  # of all names in an adapter file of peft's
_INSIDE = "model.language_model."


def add_lora(model: nn.Module, settings: LoraSettings) -> list[str]:
    """Put fresh adapters on the targets, and freeze all but them; gives the full names of the adapted layers.

    They change nothing yet: B is 0 and A is drawn from torch's global generator, as dropout is later.

    Raises:
        ValueError: the model has adapters already, or a target is no linear layer of the language model.
    """
    if has_adapters(model):
        raise ValueError("the model has LoRA adapters already; merge them first")
    linear = [name for name, module in model.named_modules() if name.startswith(_INSIDE) and _is_linear(module)]
    known = sorted({name.rpartition(".")[2] for name in linear})
    for target in settings.targets:
        if not any(name.endswith(f".{target}") for name in linear):
            raise ValueError(
                f"lora.targets names {target!r}, which is no linear layer of the language model; it has "
                + ", ".join(known)
            )
    config = _peft().LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        # all of the name: an encoder has layers named q_proj as well
        target_modules=rf"{re.escape(_INSIDE)}.*\.({'|'.join(map(re.escape, settings.targets))})",
    )
    _inject(model, config)
    return [name for name in linear if name.endswith(tuple(f".{target}" for target in settings.targets))]


def has_adapters(model: nn.Module) -> bool:
    """Whether adapters were put into the model and not merged since."""
    return any(_is_adapted(module) for module in model.modules())


def plain_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state without adapters, under the names that the model had before it got some."""
    return {name.replace(".base_layer.", "."): value for name, value in state.items() if ".lora_" not in name}


def save_adapter(model: nn.Module, folder: Path, state: Mapping[str, Tensor] | None = None) -> None:
    """Write adapter_model.safetensors, adapter_config.json and their checksums.

    Args:
        state: the model's whole state, where its own is in pieces over several processes.
    """
    from safetensors.torch import save_file

    own: Any = model
    found = model.state_dict() if state is None else state
    tensors = {
        _PREFIX + name.replace(f".{_NAME}.", "."): value.detach().cpu().contiguous()
        for name, value in found.items()
        if ".lora_" in name
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = own.peft_config[_NAME]
    config.inference_mode = True  # peft's own mark of a saved adapter
    config.save_pretrained(folder)
    config.inference_mode = False
    write_checksums(folder)


def load_adapter(model: nn.Module, folder: Path) -> None:
    """Put the adapters of a folder into a model that has none; evaluation mode stays what it was.

    Raises:
        ValueError: a file is missing, damaged or edited, or the adapters are of another model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = _peft().LoraConfig.from_pretrained(str(folder))
        tensors = load_file(folder / "adapter_model.safetensors")
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"adapter {folder} cannot be loaded: {reason}; copy it again") from None
    config.inference_mode = False
    training = model.training
    _inject(model, config)
    model.train(training)
    wanted = {name for name, _ in model.named_parameters() if ".lora_" in name}
    given = {
        re.sub(r"(\.lora_[A-Za-z]+)\.", rf"\1.{_NAME}.", name.removeprefix(_PREFIX)): value
        for name, value in tensors.items()
    }
    different = sorted(wanted ^ given.keys())
    if different:
        raise ValueError(
            f"adapter {folder} is of another model: {len(different)} tensors differ, such as {different[0]}"
        )
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in given.items():
            if weights[name].shape != value.shape:
                raise ValueError(
                    f"adapter {folder} is of another model: {name} is {tuple(value.shape)}, not "
                    f"{tuple(weights[name].shape)}"
                )
            weights[name].copy_(value)
    checked(folder)  # last: what was found before says more of what is wrong


def refuse_lost_adapter(folder: Path, record: Mapping[str, Any]) -> None:
    """Weights that were trained with adapters are, without them, those that the stage began with.

    Args:
        record: run.json of the model folder.

    Raises:
        ValueError: the adapters are neither there nor merged.
    """
    there = (folder / FOLDER / "adapter_config.json").is_file()
    stages = record.get("settings", {}).get("stages", ())
    trained = any(stage["name"] == record.get("stage") and stage.get("lora") is not None for stage in stages)
    if trained and not there and "merged_adapter_sha256" not in record:
        raise ValueError(
            f"{folder} was trained with LoRA, and its folder {FOLDER} is gone: without it the language model has "
            "learnt nothing; copy it again"
        )


def merge_adapter(model: nn.Module) -> int:
    """Add the adapters to the weights they adapt, and leave a plain model without a trace of peft; gives how many.

    4-bit weights become float32 first: adding to 4 bits would lose what was learnt.
    """
    adapted = [(name, module) for name, module in model.named_modules() if _is_adapted(module)]
    for name, module in adapted:
        layer: Any = module
        if is_4bit(layer.base_layer):
            layer.base_layer = dequantized(layer.base_layer)
        with torch.no_grad():
            delta = layer.get_delta_weight(_NAME)
            layer.base_layer.weight += delta.to(layer.base_layer.weight)
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, layer.base_layer)
    if adapted:
        del model.peft_config
    return len(adapted)


def _inject(model: nn.Module, config: Any) -> None:
    _peft().inject_adapter_in_model(config, model, adapter_name=_NAME)


def _is_adapted(module: nn.Module) -> bool:
    return hasattr(module, "lora_A") and hasattr(module, "base_layer")


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear)


def _peft() -> Any:
    import_torchvision()  # peft imports transformers' models
    import peft

    return peft
