"""Levels of films into normalised pixels on the device: one byte a pixel travels, not twelve.

Shape letters: B batch, C channels, H rows, W columns, N pixels of a batch, L levels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from encoders.encode.films import level_table
from encoders.preprocessing.intensity import Levels
from encoders.preprocessing.prepare import normalize
from encoders.preprocessing.recipe import Recipe


class DevicePixels:
    """Normalises films of one recipe on one device, to the last bit as `prepare` does."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self._recipe = recipe
        self._device = device
        table_CL = level_table(recipe)
        self._table_CL = None if table_CL is None else torch.from_numpy(table_CL).to(device)

    def __call__(self, levels: Sequence[Levels]) -> Tensor:
        """B,C,H,W, float32, of levels H,W each."""
        levels_BHW = np.stack(levels)
        if self._table_CL is None or levels_BHW.dtype != np.uint8:
            return torch.from_numpy(np.stack([normalize(one, self._recipe) for one in levels])).to(self._device)
        places_N = torch.from_numpy(levels_BHW).to(self._device).flatten().int()
        channels = [level_L.index_select(0, places_N).view(levels_BHW.shape) for level_L in self._table_CL]
        return torch.stack(channels, dim=1)
