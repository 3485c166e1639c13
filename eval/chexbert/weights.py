"""CheXbert's files: its checkpoint, BERT's vocabulary and, for an unusual size, BERT's config.json; local or hub."""

from __future__ import annotations

import hashlib
import pickle
import re
from pathlib import Path
from typing import NamedTuple

import huggingface_hub
import torch
from huggingface_hub.errors import EntryNotFoundError
from torch import Tensor

# A public copy of the published weights; the original download link is dead.
HUB_CHECKPOINT = "StanfordAIMI/RRG_scorers"
HUB_VOCABULARY = "google-bert/bert-base-uncased"


_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


class ChexbertFiles(NamedTuple):
    """Where the files are; config_beside: a config.json in the checkpoint's folder, whose it may or may not be."""

    checkpoint: Path
    vocabulary: Path
    config_beside: Path | None


def find_files(checkpoint: str | Path, *, revision: str | None, vocab: str | Path | None) -> ChexbertFiles:
    """The files of a local checkpoint, or of a hub repository (`owner/name`) that holds `chexbert.pth`.

    A vocabulary that is not named is the `vocab.txt` beside a local checkpoint; for a checkpoint on the hub it is
    bert-base-uncased's, from the hub.

    Raises:
        FileNotFoundError: a file is not there.
        OSError: the hub cannot be reached or does not have the file.
        ValueError: a revision of a local file.
    """
    if vocab is not None and not Path(vocab).is_file():
        raise FileNotFoundError(f"no vocabulary file {vocab}")
    path = Path(checkpoint)
    on_hub = not path.exists() and not path.suffix and _REPOSITORY.fullmatch(str(checkpoint)) is not None
    if on_hub:
        path = _download(str(checkpoint), "chexbert.pth", revision)
    elif not path.is_file():
        raise FileNotFoundError(f"no checkpoint file {path}, nor is that the name of a hub repository (owner/name)")
    elif revision is not None:
        raise ValueError(f"revision {revision!r} of {path}: only a hub repository has revisions")
    else:
        vocab = vocab or _beside(path, "vocab.txt")
    if vocab is None:
        if not on_hub:
            raise FileNotFoundError(
                f"no vocab.txt beside {path} and none named: CheXbert needs the vocab.txt of bert-base-uncased "
                f"({HUB_VOCABULARY} on the Hugging Face hub)"
            )
        vocab = _download(HUB_VOCABULARY, "vocab.txt", None)
    return ChexbertFiles(path, Path(vocab), None if on_hub else _beside(path, "config.json"))


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors under `model_state_dict`, without the prefix "module." that training on several GPUs left.

    Raises:
        ValueError: the file is no checkpoint, or holds anything but tensors there.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, IndexError) as error:
        raise ValueError(f"{path} is no checkpoint of weights only ({type(error).__name__} on reading it)") from error
    state = checkpoint.get("model_state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ValueError(f"{path} holds no model_state_dict of tensors, as CheXbert's checkpoint does")
    return {str(name).removeprefix("module."): tensor for name, tensor in state.items()}


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _beside(checkpoint: Path, name: str) -> Path | None:
    path = checkpoint.with_name(name)
    return path if path.is_file() else None


def _download(repository: str, name: str, revision: str | None) -> Path:
    try:
        return Path(huggingface_hub.hf_hub_download(repository, name, revision=revision))
    except (OSError, EntryNotFoundError) as error:
        raise OSError(
            f"cannot get {name} of {repository} from the Hugging Face hub ({type(error).__name__}): "
            "check the name and the connection, or download the file elsewhere and give its path"
        ) from error
