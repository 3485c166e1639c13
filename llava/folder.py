"""One folder, one Hugging Face checkpoint: written whole or not at all, and checked before it is believed.

MODEL/config.json, model*.safetensors, generation_config.json, the tokenizer's and processor's files, prompt.json;
encoder.json, which encoder is inside and what it makes of a made film; run.json, what trained it; SHA256SUMS.
"""

from __future__ import annotations

import copy
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor

from encoders.checkpoint import first_names
from encoders.preprocessing.recipe import Recipe
from llava.checksums import checked, write_checksums
from llava.encoder_record import record_of, refuse_another
from llava.language_model import quiet, refuse_misfits
from llava.model import CxrLlavaConfig, CxrLlavaForConditionalGeneration
from llava.model_files import (
    ENCODER_FILE,
    RUN_FILE,
    first_line,
    read_config,
    read_encoder_record,
    read_json,
    read_processor,
    tower_of,
    tower_of_shards,
    write_json,
)
from llava.processor import CxrLlavaProcessor
from llava.vision import encoder_of

logger = logging.getLogger(__name__)

_SHARD = "5GB"


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
    encoder = encoder_of(model.config.vision, tower_of(state))
    about = record_of(encoder, model.config.vision)
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = (folder.with_name(f".{folder.name}.{what}.{os.getpid()}") for what in ("new", "old"))
    shutil.rmtree(new, ignore_errors=True)
    try:
        with quiet():
            model.save_pretrained(new, state_dict=state, max_shard_size=_SHARD)
        processor.save_pretrained(new)
        write_json(new / ENCODER_FILE, about.model_dump(mode="json"))
        write_json(new / RUN_FILE, dict(record))
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
            raise OSError(f"{folder} cannot be written: {first_line(error)}") from None
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
    config = read_config(folder)
    expected = read_encoder_record(folder)
    if expected.fingerprint.note is not None:
        logger.warning("%s: %s", folder, expected.fingerprint.note)
    alone = encoder_of(config.vision, tower_of_shards(folder))  # apart from the model, in float32 on the CPU
    refuse_another(folder / ENCODER_FILE, expected, record_of(alone, config.vision, whole=False))
    processor = read_processor(folder)
    _check_processor(folder, processor, config)
    record = read_json(folder / RUN_FILE)
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
            raise ValueError(f"{folder} cannot be loaded: {first_line(error)}; copy it again") from None
    refuse_misfits(report, folder)
    checked(folder)  # last: what was found before says more of what is wrong
    return Loaded(model.eval().to(device), processor, record)


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


def _sync(folder: Path) -> None:
    """Have the files on the disk before the rename: after a power cut the folder is then whole or not there."""
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
