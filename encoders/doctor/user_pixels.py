"""Reads the pixels of somebody else's pipeline: from a file they were saved to, or by running the pipeline itself.

Shape letters: B batch (of one), C channels, H rows, W columns.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.preprocessing.recipe import Recipe

_KEYS = ("pixel_values", "pixels", "image")  # of several arrays the first of these is meant
_SUFFIXES = (".npy", ".npz", ".safetensors", ".pt", ".pth")


def load_user_tensor(path: str | Path) -> NDArray[np.float32]:
    """The one tensor of a file, as C,H,W: .npy, .npz, .safetensors, .pt or .pth. Nothing is unpickled.

    Raises:
        ValueError: no such file, another format, several tensors of which none is called "pixel_values", "pixels" or
            "image", or a shape that is no picture's.
    """
    path = Path(path)
    if path.suffix not in _SUFFIXES:
        raise ValueError(f"{path}: a tensor is read from {', '.join(_SUFFIXES)}, not from {path.suffix or 'no suffix'}")
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    try:
        value = _read(path)
    except Exception as error:  # each format raises its own
        raise ValueError(f"{path} cannot be read as {path.suffix}: {error}") from error
    return as_pixels(value, str(path))


def run_user_pipeline(spec: str, path: str | Path, recipe: Recipe) -> NDArray[np.float32]:
    """What `module:function` makes of a film's path, as C,H,W; the module is looked for in this folder too.

    The function may give an array or a tensor (C,H,W or 1,C,H,W), a mapping that holds one (a transformers
    processor's answer), or a PIL image: that is taken as levels of 0 to 255 which `recipe` still has to normalise.

    Raises:
        ValueError: no such module or function, it failed on this file, or it gave no picture.
    """
    function = _find(spec)
    try:
        value = function(str(path))
    except Exception as error:  # anybody's code
        raise ValueError(f"{spec} failed on {path}: {type(error).__name__}: {error}") from error
    return as_pixels(_normalised_image(value, recipe, spec), spec)


def as_pixels(value: object, source: str) -> NDArray[np.float32]:
    """An array, a tensor or a mapping of one as C,H,W float32; the source is named when it is none.

    Raises:
        ValueError: not 3,H,W (or 1,3,H,W), not numbers, or not finite.
    """
    if isinstance(value, Mapping):
        value = _one_of(value)
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if hasattr(value, "detach"):
        value = value.detach().cpu().float().numpy()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        raise ValueError(f"{source} gave {type(value).__name__}, not an array or tensor of numbers")
    pixels = value[0] if value.ndim == 4 and len(value) == 1 else value
    if pixels.ndim == 3 and pixels.shape[0] != 3 and pixels.shape[2] == 3:
        raise ValueError(f"{source} has the channels last, {value.shape}: encoders take C,H,W, so permute(2, 0, 1)")
    if pixels.ndim != 3 or pixels.shape[0] != 3:
        raise ValueError(f"{source} has the shape {value.shape}; one picture is 3,H,W (or 1,3,H,W)")
    pixels_CHW = np.ascontiguousarray(pixels, dtype=np.float32)
    wrong = int((~np.isfinite(pixels_CHW)).sum())
    if wrong:
        raise ValueError(f"{source} has {wrong} values that are NaN or infinite")
    return pixels_CHW


def _read(path: Path) -> Any:
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def _one_of(values: Mapping[Any, Any]) -> object:
    for key in _KEYS:
        if key in values:
            return values[key]
    if len(values) == 1:
        return next(iter(values.values()))
    raise ValueError(f"{len(values)} tensors, {sorted(map(str, values))[:6]}: name the picture {_KEYS[0]!r}")


def _find(spec: str) -> Callable[[str], Any]:
    name, colon, attribute = spec.partition(":")
    if not (name and colon and attribute):
        raise ValueError(f"a pipeline is named module:function, got {spec!r}")
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(name)
    except Exception as error:  # anybody's code
        raise ValueError(f"module {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        if added:
            sys.path.remove(here)
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ValueError(f"{name!r} has no function {attribute!r}")
    return function  # type: ignore[no-any-return]


def _normalised_image(value: object, recipe: Recipe, source: str) -> object:
    from PIL import Image

    if not isinstance(value, Image.Image):
        return value
    if value.mode not in ("L", "RGB"):
        raise ValueError(f"{source} gave a PIL image of mode {value.mode}; 8-bit L or RGB can be normalised")
    levels_CHW = np.asarray(value.convert("RGB"), dtype=np.float32).transpose(2, 0, 1)
    mean_C11, std_C11 = np.array([recipe.normalize.mean, recipe.normalize.std], np.float32).reshape(2, 3, 1, 1)
    return (levels_CHW / np.float32(255) - mean_C11) / std_C11
