"""One folder, one Hugging Face checkpoint: written whole or not at all, and checked before it is believed.

MODEL/config.json, model*.safetensors, generation_config.json, the tokenizer's and processor's files, prompt.json;
encoder.json, which encoder is inside and what it makes of a made film; run.json, what trained it; SHA256SUMS.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from encoders.checkpoint import first_names
from encoders.preprocessing.recipe import Recipe
from llava.checksums import checked, write_checksums
from llava.encoder_record import EncoderRecord, record_of, refuse_another
from llava.language_model import quiet, refuse_misfits
from llava.model import CxrLlavaConfig, CxrLlavaForConditionalGeneration
from llava.processor import CxrLlavaProcessor
from llava.vision import encoder_of

logger = logging.getLogger(__name__)

_ENCODER_FILE, _RUN_FILE, _CONFIG_FILE = "encoder.json", "run.json", "config.json"
_TOWER = "model.vision_tower.encoder."
_SHARD = "5GB"
_WEIGHTS = ".safetensors"


class Loaded(NamedTuple):
    """record: run.json, what trained it."""

    model: CxrLlavaForConditionalGeneration
    processor: CxrLlavaProcessor
    record: dict[str, Any]


def save_model(
    model: CxrLlavaForConditionalGeneration,
    processor: CxrLlavaProcessor,
    folder: Path,
    *,
    record: Mapping[str, Any],
    state_dict: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint: beside its place, then renamed, so that no half folder is ever found there.

    Args:
        record: run.json, what trained it; JSON values.
        state_dict: the weights, where the model's own are in pieces over several processes.

    Raises:
        OSError: the disk is full or not writable; nothing is left behind, and a folder that was there is as it was.
        ValueError: weights that are not those of the model's configuration, or of the encoder that are not finite.
    """
    state = dict(model.state_dict() if state_dict is None else state_dict)
    _refuse_other_tensors(state, model.config)
    encoder = encoder_of(model.config.vision, _tower(state))
    about = record_of(encoder, model.config.vision)
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = (folder.with_name(f".{folder.name}.{what}.{os.getpid()}") for what in ("new", "old"))
    shutil.rmtree(new, ignore_errors=True)
    try:
        with quiet():
            model.save_pretrained(new, state_dict=state, max_shard_size=_SHARD)
        processor.save_pretrained(new)
        _write_json(new / _ENCODER_FILE, about.model_dump(mode="json"))
        _write_json(new / _RUN_FILE, dict(record))
        write_checksums(new)
        _sync(new)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except BaseException as error:
        shutil.rmtree(new, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.rename(folder)
        if isinstance(error, SafetensorError):  # which is how safetensors tells of a full disk
            raise OSError(f"{folder} cannot be written: {_first_line(error)}") from None
        raise
    shutil.rmtree(old, ignore_errors=True)


def load_model(
    folder: Path, *, dtype: Literal["float32", "bfloat16"] = "float32", device: str | torch.device = "cpu"
) -> Loaded:
    """A checkpoint in evaluation mode, after its encoder was compared with encoder.json and all files with SHA256SUMS.

    Raises:
        ValueError: files missing, damaged or edited, tensors missing or left over, an encoder of other weights,
            preprocessing or features than encoder.json says, or a prompt that has changed; the message names the file,
            what was expected and what was found.
    """
    config = _config(folder)
    expected = read_encoder_record(folder)
    if expected.fingerprint.note is not None:
        logger.warning("%s: %s", folder, expected.fingerprint.note)
    alone = encoder_of(config.vision, _tower_of_shards(folder))  # apart from the model, in float32 on the CPU
    refuse_another(folder / _ENCODER_FILE, expected, record_of(alone, config.vision, whole=False))
    processor = read_processor(folder)
    _check_processor(folder, processor, config)
    record = _read_json(folder / _RUN_FILE)
    loader: Any = CxrLlavaForConditionalGeneration  # its from_pretrained gives a report too when asked
    with quiet():
        try:
            model, report = loader.from_pretrained(
                folder,
                config=config,
                dtype=getattr(torch, dtype),
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are in the report, which has to be empty
            )
        except (OSError, RuntimeError, KeyError, SafetensorError) as error:
            raise ValueError(f"{folder} cannot be loaded: {_first_line(error)}; copy it again") from None
    refuse_misfits(report, folder)
    checked(folder)  # last: what was found before says more of what is wrong
    return Loaded(model.eval().to(device), processor, record)


def find_model(path: Path) -> Path:
    """A model folder: the path itself, or that of the last stage of a finished run's output folder.

    Raises:
        ValueError: there is none.
    """
    if (path / _ENCODER_FILE).is_file() and (path / _CONFIG_FILE).is_file():
        return path
    stages = _stages(path) if (path / _RUN_FILE).is_file() else []
    for stage in reversed(stages):
        model = path / stage / "model"
        if (model / _ENCODER_FILE).is_file():
            if stage != stages[-1]:
                raise ValueError(
                    f"{path} is not finished: stage {stages[-1]} is not done; for the model of stage {stage} give "
                    f"{model}"
                )
            return model
    if (path / "state.json").is_file():
        raise ValueError(f"{path} is a training state: python -m llava export {path} -o MODEL, then give MODEL")
    raise ValueError(
        f"no model at {path}: it has no {_ENCODER_FILE}"
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
        return EncoderRecord.model_validate(_read_json(folder / _ENCODER_FILE))
    except ValidationError as error:
        raise ValueError(f"{folder / _ENCODER_FILE} is damaged: {_first_line(error)}") from None


def _stages(output: Path) -> list[str]:
    """Names of a run's stages, in order."""
    try:
        return [str(stage["name"]) for stage in _read_json(output / _RUN_FILE)["settings"]["stages"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{output / _RUN_FILE} is not of a run of train-llava: it has no {error}") from None


def read_processor(folder: Path) -> CxrLlavaProcessor:
    """A model folder's processor.

    Raises:
        ValueError: a file of it is missing or damaged.
    """
    _read_json(folder / "generation_config.json")  # which transformers would replace by defaults, were it damaged
    for file in {*folder.glob("tokenizer*.json"), folder / "tokenizer_config.json"}:
        _read_json(file)
    try:
        return CxrLlavaProcessor.from_pretrained(folder)
    except ValueError as error:
        raise ValueError(f"{folder}: {_first_line(error)}") from None
    except Exception as error:  # tokenizers has errors of its own, without a common base
        raise ValueError(f"{folder}: its tokenizer is damaged: {_first_line(error)}; copy it again") from None


def _check_processor(folder: Path, processor: CxrLlavaProcessor, config: CxrLlavaConfig) -> None:
    vision = config.vision
    pairs = {
        "preprocessing_sha256": (Recipe.model_validate(vision.recipe).sha256, processor.recipe.sha256),
        "num_image_tokens": (vision.num_tokens, processor.num_image_tokens),
        "image token": (config.image_token_id, processor.image_token_id),
        "prompt": (config.prompt_id, processor.prompt_id),
        "encoder_key": (config.encoder_key, vision.began_as),
    }
    for name, (wanted, given) in pairs.items():
        if wanted != given:
            raise ValueError(f"{folder}: config.json says {name} {wanted}, and the processor's files {given}")


def _refuse_other_tensors(state: Mapping[str, Tensor], config: CxrLlavaConfig) -> None:
    """What could not be loaded again is refused before it is written: adapters, packed 4-bit weights, gaps."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        wanted = CxrLlavaForConditionalGeneration(copy.deepcopy(config)).state_dict()
    if config.tie_word_embeddings:
        wanted.pop("lm_head.weight")
        state = {name: tensor for name, tensor in state.items() if name != "lm_head.weight"}
    faults = {
        "missing": wanted.keys() - state.keys(),
        "unexpected": state.keys() - wanted.keys(),
        "of another shape": {name for name in wanted.keys() & state.keys() if wanted[name].shape != state[name].shape},
    }
    told = [f"{len(names)} {kind}: {first_names(sorted(names))}" for kind, names in faults.items() if names]
    if told:
        raise ValueError(f"this state is not of the model's configuration: {'; '.join(told)}")


def _tower(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(_TOWER): tensor.detach().cpu().float() if tensor.is_floating_point() else tensor.cpu()
        for name, tensor in state.items()
        if name.startswith(_TOWER)
    }


def _tower_of_shards(folder: Path) -> dict[str, Tensor]:
    """The encoder's tensors out of all shards; every shard is opened, so that a truncated one is found."""
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise ValueError(f"{folder} has no *.safetensors: its weights are missing; copy it again")
    found: dict[str, Tensor] = {}
    for shard in shards:
        try:
            with safe_open(shard, framework="pt") as opened:
                found.update({name: opened.get_tensor(name) for name in opened.keys() if name.startswith(_TOWER)})  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{shard} is damaged or not complete: {_first_line(error)}; copy it again") from None
    return _tower(found)


def _config(folder: Path) -> CxrLlavaConfig:
    read = _read_json(folder / _CONFIG_FILE)
    if read.get("model_type") != CxrLlavaConfig.model_type:
        raise ValueError(
            f"{folder / _CONFIG_FILE} is of a {read.get('model_type')!r}, not a {CxrLlavaConfig.model_type!r}"
        )
    try:
        config: CxrLlavaConfig = CxrLlavaConfig.from_pretrained(folder)
    except Exception as error:  # transformers' strict configurations raise classes of their own
        raise ValueError(f"{folder / _CONFIG_FILE} is damaged: {_first_line(error)}") from None
    return config


def _read_json(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}; a model folder has one") from None
    except ValueError as error:
        raise ValueError(f"{file} is damaged: {error}; copy it again") from None
    if not isinstance(read, dict):
        raise ValueError(f"{file} is damaged: it holds no object")
    return read


def _write_json(file: Path, value: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _sync(folder: Path) -> None:
    """Have the files on the disk before the rename: after a power cut the folder is then whole or not there."""
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
