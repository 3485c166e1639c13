"""Runs the encoder once on each film that is plotted, and keeps what the pictures need.

Shape letters: H rows, W columns, C channels, N patches, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from encoders.contract import Encoder, FeatureMap
from encoders.preprocessing.guards import Guard
from encoders.preprocessing.prepare import denormalize, prepare
from studies.images import Film

MAX_GRID = 40  # finer maps are averaged: 1,600 places are what an eye and a web page can take


@dataclass(frozen=True)
class ShownLayer:
    """The features of one film at one layer.

    features_HWD: float32. own_grid: rows and columns of the encoder's own map: more, where places were averaged.
    """

    layer: int
    norm: str
    features_HWD: NDArray[np.float32]
    own_grid: tuple[int, int]

    @property
    def grid(self) -> tuple[int, int]:
        rows, columns, _ = self.features_HWD.shape
        return rows, columns

    @property
    def title(self) -> str:
        return f"layer {self.layer}"

    @property
    def note(self) -> str:
        """Grid, width and what was done to them: "32 x 32 patches, averaged from 192 x 192, width 192"."""
        rows, columns, width = self.features_HWD.shape
        own = "" if self.grid == self.own_grid else ", averaged from {} x {}".format(*self.own_grid)
        return f"{rows} x {columns} patches{own}, width {width}"


@dataclass(frozen=True)
class ShownFilm:
    """One film, the input made of it as levels_HW of 0 to 255, and its features at each plotted layer."""

    name: str
    film: Film
    levels_HW: NDArray[np.uint8]
    layers: tuple[ShownLayer, ...]


def default_layers(num_layers: int) -> list[int]:
    """Four layers at even distances that end at the last: 2, 5, 8, 11 of twelve; all where there are no more."""
    if num_layers <= 4:
        return list(range(num_layers))
    return [round(quarter * num_layers / 4) - 1 for quarter in (1, 2, 3, 4)]


def show_films(
    encoder: Encoder, films: Sequence[tuple[str, Film]], layers: Sequence[int] | None = None
) -> list[ShownFilm]:
    """Each film with its features, in the order given. Guards are off: what an encoder was fed has to be seen.

    Raises:
        ValueError: no film, no layer, a layer the encoder does not have, or an encoder in training mode.
    """
    if not films:
        raise ValueError("no film to plot")
    if encoder.training:
        raise ValueError("the encoder is in training mode, its features are noisy: call encoder.eval() first")
    wanted = default_layers(encoder.num_layers) if layers is None else list(layers)
    if not wanted:
        raise ValueError("no layer to plot")
    weight = next(encoder.parameters())
    shown = []
    for name, film in films:
        pixels_CHW = prepare(film, encoder.recipe, skip_guards=tuple(Guard))
        with torch.inference_mode():
            features = encoder.encode(torch.from_numpy(pixels_CHW)[None].to(weight.device), layers=wanted)
            kept = tuple(_keep(map_) for map_ in features.layers(wanted))
        levels_HW = np.clip(denormalize(pixels_CHW, encoder.recipe), 0, 255).round().astype(np.uint8)
        told = "".join(one if one.isprintable() else " " for one in PurePath(name).name)  # a name may hold a new line
        shown.append(ShownFilm(told, film, levels_HW, kept))
    return shown


def _keep(found: FeatureMap) -> ShownLayer:
    map_1CHW = found.map_BCHW.float()
    rows, columns = map_1CHW.shape[-2:]
    step = -(-max(rows, columns) // MAX_GRID)
    if step > 1:  # bins follow the film's proportions where the step does not divide the grid
        map_1CHW = functional.adaptive_avg_pool2d(map_1CHW, (-(-rows // step), -(-columns // step)))
    return ShownLayer(found.layer, found.norm.value, map_1CHW[0].permute(1, 2, 0).cpu().numpy().copy(), (rows, columns))
