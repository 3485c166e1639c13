"""The files of a model folder, each read, or refused by its name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from llava.checksums import checked
from llava.encoder_record import EncoderRecord
from llava.model import CxrLlavaConfig
from llava.processor import CxrLlavaProcessor

ENCODER_FILE, RUN_FILE, CONFIG_FILE = "encoder.json", "run.json", "config.json"
TOWER = "model.vision_tower.encoder."  # of the names of an encoder's tensors
_WEIGHTS = ".safetensors"


def find_model(path: Path) -> Path:
    """A model folder: the path itself, or that of the last stage of a finished run's output folder.

    Raises:
        ValueError: there is none.
    """
    if (path / ENCODER_FILE).is_file() and (path / CONFIG_FILE).is_file():
        return path
    stages = _stages(path) if (path / RUN_FILE).is_file() else []
    for stage in reversed(stages):
        model = path / stage / "model"
        if (model / ENCODER_FILE).is_file():
            if stage != stages[-1]:
                raise ValueError(
                    f"{path} is not finished: stage {stages[-1]} is not done; for the model of stage {stage} give "
                    f"{model}"
                )
            return model
    if (path / "state.json").is_file():
        raise ValueError(f"{path} is a training state: python -m llava export {path} -o MODEL, then give MODEL")
    raise ValueError(
        f"no model at {path}: it has no {ENCODER_FILE}"
        + (f", and no stage of its run ({', '.join(stages)}) is done yet" if stages else "")
        + "; give a model folder, or the output folder of a finished run"
    )


def weights_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of a checkpoint's weights.

    Raises:
        ValueError: it has none, or a file of it is not as it was written.
    """
    shards = [f"{sha256}  {name}\n" for name, sha256 in sorted(checked(folder).items()) if name.endswith(_WEIGHTS)]
    if not shards:
        raise ValueError(f"{folder} has no *{_WEIGHTS}")
    return hashlib.sha256("".join(shards).encode()).hexdigest()


def read_encoder_record(folder: Path) -> EncoderRecord:
    """encoder.json of a model folder.

    Raises:
        ValueError: it is missing or damaged.
    """
    try:
        return EncoderRecord.model_validate(read_json(folder / ENCODER_FILE))
    except ValidationError as error:
        raise ValueError(f"{folder / ENCODER_FILE} is damaged: {first_line(error)}") from None


def _stages(output: Path) -> list[str]:
    """Names of a run's stages, in order."""
    try:
        return [str(stage["name"]) for stage in read_json(output / RUN_FILE)["settings"]["stages"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{output / RUN_FILE} is not of a run of train-llava: it has no {error}") from None


def read_processor(folder: Path) -> CxrLlavaProcessor:
    """A model folder's processor.

    Raises:
        ValueError: a file of it is missing or damaged.
    """
    read_json(folder / "generation_config.json")  # which transformers would replace by defaults, were it damaged
    for file in {*folder.glob("tokenizer*.json"), folder / "tokenizer_config.json"}:
        read_json(file)
    try:
        return CxrLlavaProcessor.from_pretrained(folder)
    except ValueError as error:
        raise ValueError(f"{folder}: {first_line(error)}") from None
    except Exception as error:  # tokenizers has errors of its own, without a common base
        raise ValueError(f"{folder}: its tokenizer is damaged: {first_line(error)}; copy it again") from None


def tower_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's tensors of a whole state, under the encoder's own names, float32 on the CPU."""
    return {
        name.removeprefix(TOWER): tensor.detach().cpu().float() if tensor.is_floating_point() else tensor.cpu()
        for name, tensor in state.items()
        if name.startswith(TOWER)
    }


def tower_of_shards(folder: Path) -> dict[str, Tensor]:
    """The encoder's tensors out of all shards; every shard is opened, so that a truncated one is found."""
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise ValueError(f"{folder} has no *.safetensors: its weights are missing; copy it again")
    found: dict[str, Tensor] = {}
    for shard in shards:
        try:
            with safe_open(shard, framework="pt") as opened:
                found.update({name: opened.get_tensor(name) for name in opened.keys() if name.startswith(TOWER)})  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{shard} is damaged or not complete: {first_line(error)}; copy it again") from None
    return tower_of(found)


def read_config(folder: Path) -> CxrLlavaConfig:
    read = read_json(folder / CONFIG_FILE)
    if read.get("model_type") != CxrLlavaConfig.model_type:
        raise ValueError(
            f"{folder / CONFIG_FILE} is of a {read.get('model_type')!r}, not a {CxrLlavaConfig.model_type!r}"
        )
    try:
        config: CxrLlavaConfig = CxrLlavaConfig.from_pretrained(folder)
    except Exception as error:  # transformers' strict configurations raise classes of their own
        raise ValueError(f"{folder / CONFIG_FILE} is damaged: {first_line(error)}") from None
    return config


def read_json(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}; a model folder has one") from None
    except ValueError as error:
        raise ValueError(f"{file} is damaged: {error}; copy it again") from None
    if not isinstance(read, dict):
        raise ValueError(f"{file} is damaged: it holds no object")
    return read


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
