"""A trained checkpoint as others take it: adapters merged, and one set of weights under two configurations.

OUTPUT is a Hugging Face checkpoint of this project's class (`cxr_llava`): transformers loads it once `llava.model` is
imported. OUTPUT/vllm is the same for vLLM: its shards are links to those above, so that the weights are there once.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal

from llava.checksums import checked, read_checksums, write_checksums
from llava.folder import save_model
from llava.generate.loading import has_adapter, load_merged
from llava.generate.record import read_record
from llava.generate.settings import Place
from llava.generate.vllm_layout import write_vllm_layout
from llava.model_files import find_model
from llava.training.adapters import FOLDER, refuse_lost_adapter
from llava.training.stage_model import write_model_of_state
from llava.training.state import is_state

Layout = Literal["huggingface", "vllm"]
VLLM_FOLDER = "vllm"
_WEIGHTS = ".safetensors"


def export(checkpoint: Path, output: Path, *, layout: Layout = "vllm") -> Path:
    """Write a checkpoint for use elsewhere, and give the folder that its reader is told.

    Weights that need no merging are linked where the file system can, all else is copied. Everything is written beside
    `output` and renamed, so that no half of it is ever found there.

    Args:
        checkpoint: a model folder, the output folder of a training run, or one of its training states.
        output: a folder that is not there yet.
        layout: "huggingface" is the checkpoint alone, "vllm" has the second configuration too.

    Raises:
        FileExistsError: the output is there.
        ValueError: the checkpoint is damaged, or cannot be merged.
        OSError: the disk is full or cannot be written.
    """
    if output.exists():
        raise FileExistsError(f"{output} is there already; name another folder")
    part, of_state = (output.with_name(f".{output.name}.{what}.{os.getpid()}") for what in ("part", "state"))
    try:
        if is_state(checkpoint):
            write_model_of_state(checkpoint, of_state)
        source = of_state if of_state.exists() else find_model(checkpoint)
        refuse_lost_adapter(source, read_record(source / "run.json"))
        output.parent.mkdir(parents=True, exist_ok=True)
        _merge(source, part) if has_adapter(source) else _link(source, part)
        if layout == "vllm":
            write_vllm_layout(part, part / VLLM_FOLDER)
            write_checksums(part / VLLM_FOLDER, known=_of_weights(part))
        part.rename(output)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(of_state, ignore_errors=True)
    return output / VLLM_FOLDER if layout == "vllm" else output


def _merge(source: Path, target: Path) -> None:
    loaded = load_merged(source, Place("cpu", "float32"))
    adapter = {name: sha256 for name, sha256 in checked(source / FOLDER).items() if name.endswith(_WEIGHTS)}
    save_model(loaded.model, loaded.processor, target, record=loaded.record | {"merged_adapter_sha256": adapter})


def _link(source: Path, target: Path) -> None:
    """Only weights: what is edited in a copy, its checksums among it, must not change in the trained model."""
    checked(source)
    target.mkdir()
    for file in sorted(source.iterdir()):
        if not file.is_file():
            continue
        try:
            if file.suffix != _WEIGHTS:
                shutil.copyfile(file, target / file.name)
            else:
                os.link(file.resolve(), target / file.name)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(file, target / file.name)


def _of_weights(folder: Path) -> dict[str, str]:
    return {name: sha256 for name, sha256 in read_checksums(folder).items() if name.endswith(_WEIGHTS)}
