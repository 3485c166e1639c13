"""Films' levels into the pixels that an encoder takes, on the device.

Shape letters: I images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from encoders.encode.pixels import DevicePixels
from encoders.preprocessing.intensity import Levels
from encoders.preprocessing.recipe import Recipe

_makers: dict[tuple[str, torch.device], DevicePixels] = {}  # a table of 256 levels each; runs have one recipe


def pixels(levels: Sequence[Levels], recipe: Recipe, device: torch.device | str) -> Tensor:
    """I,3,H,W, float32: to the last bit what `encoders.preprocessing.prepare.normalize` gives of each.

    Args:
        levels: H,W each, as `to_levels` gave them, all of one size.

    Raises:
        ValueError: no film, or films of different sizes.
    """
    shapes = sorted({one.shape for one in levels})
    if len(shapes) != 1:
        raise ValueError(f"films of {len(shapes)} sizes in one batch: {', '.join(map(str, shapes)) or 'no film'}")
    place = torch.device(device)
    key = recipe.sha256, place
    if key not in _makers:
        _makers[key] = DevicePixels(recipe, place)
    return _makers[key](levels)
