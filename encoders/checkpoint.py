"""Reads a checkpoint's tensors from any file a publisher hands out, without running what the file holds.

The file's content decides, never its name: MedImageInsight's `.pt` is safetensors. Pickled objects are not run; a file
that needs it is converted once, by someone who trusts its source: `python -m encoders convert`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".tar", ".ckpt")
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")  # how Hugging Face names sharded files
# What training code wraps weights in. The teacher is what self-distillation publishes (Ark, DINO), so it goes first.
_FIRST, _WRAPPERS = "teacher", ("state_dict", "model", "model_state_dict", "module", "net", "student")


@dataclass(frozen=True)
class Checkpoint:
    """What a file held. path: the file, or the index of a sharded one; inside: the dictionaries opened to get at the
    tensors ("teacher", "state_dict.model", or "" for none)."""

    path: Path
    tensors: dict[str, Tensor]
    inside: str


def read_checkpoint(path: str | Path, *, prefer: str | None = None) -> Checkpoint:
    """A checkpoint's tensors on the CPU, in the file's dtypes; pages are read when they are touched.

    Args:
        path: safetensors or `torch.save` (zip or legacy), or a folder with one checkpoint, whole or sharded.
        prefer: the file to take of a folder that has several (the publisher's own name for it).

    Raises:
        ValueError: no such file, none or several in the folder, cut short, not a checkpoint (a Git LFS pointer, a web
            page), tensors wrapped in a way that leaves a choice, or objects that only unpickling could read.
    """
    found = find_checkpoint(Path(path), prefer)
    if found.name.endswith(".index.json"):
        return Checkpoint(found, _read_shards(found), "")
    tensors, inside = _read_file(found)
    if inside:
        logger.info("%s: took the weights under %r", found.name, inside)
    return Checkpoint(found, tensors, inside)


def find_checkpoint(path: Path, prefer: str | None = None) -> Path:
    """The checkpoint that a path means: itself, or the one in that folder (an index stands for its shards)."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise ValueError(f"no checkpoint at {path}")
    if prefer and (path / prefer).is_file():
        return path / prefer
    for name in _INDEXES:
        if (path / name).is_file():
            return path / name
    found = sorted(entry.name for entry in path.iterdir() if entry.suffix in SUFFIXES and entry.is_file())
    if len(found) != 1:
        held = f"{len(found)} checkpoints ({', '.join(found[:5])}): name one" if found else "no checkpoint"
        raise ValueError(f"folder {path} has {held}; known suffixes: {', '.join(SUFFIXES)}")
    return path / found[0]


def file_sha256(path: Path) -> str:
    """SHA-256 of a checkpoint's file; of a sharded one, of the lines "SHA256  NAME" of its shards, by name."""
    if path.name.endswith(".index.json"):
        lines = [f"{file_sha256(path.parent / name)}  {name}\n" for name in sorted(set(_weight_map(path).values()))]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def convert(path: str | Path, out: str | Path, *, trust_pickle: bool, inside: str | None = None) -> Checkpoint:
    """Write a checkpoint's tensors as safetensors, unpickling the file if the caller says that its source is trusted.

    Args:
        out: a new `.safetensors` file; its metadata names the source's SHA-256 and what was opened.
        trust_pickle: run what the file holds. A pickle can run any program; without this, only files that need no
            unpickling are converted.
        inside: the dictionary to take, for a file that leaves a choice ("state_dict", "a.b" for one in another).

    Raises:
        ValueError: as `read_checkpoint`; `out` exists or is no `.safetensors`; nothing under `inside`.
    """
    from safetensors.torch import save_file

    source, target = find_checkpoint(Path(path)), Path(out)
    if target.suffix != ".safetensors" or target.exists():
        raise ValueError(f"cannot convert to {target}: it must be a new file that ends in .safetensors")
    if source.name.endswith(".index.json"):
        tensors, opened = _read_shards(source), ""
    else:
        tensors, opened = _read_file(source, inside=inside, trust_pickle=trust_pickle)
    metadata = {"source_name": source.name, "source_sha256": file_sha256(source), "source_inside": opened}
    partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
    try:
        save_file(_unshared(tensors), partial, metadata=metadata)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return Checkpoint(target, tensors, opened)


def _read_file(path: Path, *, inside: str | None = None, trust_pickle: bool = False) -> tuple[dict[str, Tensor], str]:
    """Tensors, and the dictionaries that were opened."""
    with path.open("rb") as file:
        head = file.read(1024)
    _refuse_what_is_no_checkpoint(path, head)
    if head[8:9] == b"{":  # safetensors: eight bytes of the header's length, then its JSON
        return _tensors_within(path, _read_safetensors(path), inside)
    if not head.startswith((b"PK\x03\x04", b"\x80")):
        raise ValueError(f"{path} is neither safetensors nor a file of torch.save: it begins with {head[:8]!r}")
    zipped = head.startswith(b"PK")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped or None)
    except pickle.UnpicklingError as error:
        if not trust_pickle:
            alien = re.findall(r"GLOBAL (\S+)", str(error))
            holds = f"holds {alien[0]}, which" if alien else "holds objects that"
            raise ValueError(
                f"{path} {holds} only unpickling can read, and unpickling runs whatever the file says. If you trust "
                f"its source, convert it once: python -m encoders convert {path} NEW.safetensors --trust-pickle"
            ) from None
        loaded = _unpickle(path)
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise ValueError(_damaged(path, error)) from None
    return _tensors_within(path, loaded, inside)


def _unpickle(path: Path) -> object:
    """What the file makes of itself: the caller said that it is trusted."""
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=False)
    except (AttributeError, ImportError) as error:
        raise ValueError(f"{path} needs code that is not installed here: {error}") from None
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(_damaged(path, error)) from None
    return loaded.state_dict() if isinstance(loaded, nn.Module) else loaded


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(_damaged(path, error)) from None


def _tensors_within(path: Path, loaded: Any, inside: str | None) -> tuple[dict[str, Tensor], str]:
    """The dictionary of tensors among wrappers: the one asked for, else the teacher, else the only one there is."""
    opened: list[str] = []
    wanted = inside.split(".") if inside else []
    while isinstance(loaded, Mapping):
        held = [str(key) for key, value in loaded.items() if isinstance(value, Mapping)]
        if wanted:
            choice = wanted.pop(0)
            if choice not in held:
                raise ValueError(f"{path} has no dictionary {inside!r}; it has {first_names(held) or 'none'}")
        elif loaded and all(isinstance(value, Tensor) for value in loaded.values()):
            return {str(key): value.detach() for key, value in loaded.items()}, ".".join(opened)
        else:
            choice = _wrapper(path, loaded, held)
        opened.append(choice)
        loaded = loaded[choice]
    where = f" under {'.'.join(opened)!r}" if opened else ""
    raise ValueError(f"{path} holds {type(loaded).__name__}{where}, not a dictionary of tensors")


def _wrapper(path: Path, loaded: Mapping[str, object], held: list[str]) -> str:
    known = [key for key in _WRAPPERS if key in held]
    if _FIRST in held:
        return _FIRST
    if len(known) == 1:
        return known[0]
    if known:
        raise ValueError(
            f"{path} holds several sets of weights ({', '.join(known)}); name one: "
            f"python -m encoders convert {path} NEW.safetensors --inside {known[0]}"
        )
    others = [str(key) for key, value in loaded.items() if not isinstance(value, Tensor)]
    raise ValueError(
        f"{path} is no dictionary of tensors: {len(others)} of its {len(loaded)} entries are something else "
        f"({first_names(others)}), and none is one of {', '.join((_FIRST, *_WRAPPERS))}"
    )


def _weight_map(index: Path) -> dict[str, str]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = {str(key): str(name) for key, name in weight_map.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{index} is no index of a sharded checkpoint") from None
    outside = sorted({name for name in names.values() if Path(name).name != name})
    if outside:
        raise ValueError(f"{index} names files outside its folder: {first_names(outside)}")
    return names


def _read_shards(index: Path) -> dict[str, Tensor]:
    weight_map = _weight_map(index)
    shards = sorted(set(weight_map.values()))
    absent = [name for name in shards if not (index.parent / name).is_file()]
    if absent:
        raise ValueError(
            f"{len(absent)} of the {len(shards)} shards that {index} lists are missing: {first_names(absent)}"
        )
    tensors: dict[str, Tensor] = {}
    for shard in shards:
        found, _ = _read_file(index.parent / shard)
        listed = {key for key, name in weight_map.items() if name == shard}
        if found.keys() != listed:
            differing = sorted(found.keys() ^ listed)
            raise ValueError(
                f"{index.parent / shard} and its index differ in {len(differing)}: {first_names(differing)}"
            )
        tensors |= found
    return tensors


def _refuse_what_is_no_checkpoint(path: Path, head: bytes) -> None:
    text = head.lstrip().lower()
    if not head:
        raise ValueError(f"{path} is empty")
    if text.startswith(b"version https://git-lfs"):
        raise ValueError(f"{path} is a Git LFS pointer, not the weights: run `git lfs pull` in its repository")
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<!--")):
        raise ValueError(f"{path} is a web page, not weights: the download needed a login or a confirmation")


def _damaged(path: Path, error: Exception) -> str:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{path} ({path.stat().st_size:,} bytes) is damaged or cut short; download it again ({reason})"


def _unshared(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor with memory of its own and no more than it needs, as safetensors wants it."""
    seen: set[int] = set()
    result = {}
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage()
        own = storage.nbytes() == tensor.nbytes and storage.data_ptr() not in seen and tensor.is_contiguous()
        seen.add(storage.data_ptr())
        result[name] = tensor if own else tensor.contiguous().clone()
    return result


def first_names(names: Collection[str], count: int = 4) -> str:
    """The first few names of a list that a message is too short for."""
    shown = ", ".join(list(names)[:count])
    return shown + (", ..." if len(names) > count else "")
