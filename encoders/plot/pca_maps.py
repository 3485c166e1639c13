"""Patch features in three colours: what an encoder holds alike over a film gets one colour.

Shape letters: N patches of all films, D width, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.plot import canvas
from encoders.plot.shown import ShownFilm

_CELL_PX, _GAP_PX, _LABEL_PX, _HEAD_PX, _FOOT_PX = 220, 10, 210, 64, 26


class Components(NamedTuple):
    """The first three principal components of patches: their places on each, and the share of variance it explains."""

    scores_N3: NDArray[np.float64]
    explained_3: NDArray[np.float64]


def principal_components(features_ND: NDArray[np.float32]) -> Components:
    """The first three principal components, the largest loading of each positive (so that colours never flip).

    Eigenvectors of the D x D covariance: with thousands of patches far cheaper than an SVD of them all. A component
    that does not exist (fewer dimensions or patches, constant features) scores and explains 0.
    """
    from scipy.linalg import eigh

    centred_ND = features_ND - features_ND.mean(axis=0, dtype=np.float64)
    covariance_DD = centred_ND.T @ centred_ND / len(centred_ND)
    width = len(covariance_DD)
    found = min(3, width)
    values, vectors_Dk = eigh(covariance_DD, subset_by_index=[width - found, width - 1])
    values, vectors_Dk = values[::-1], vectors_Dk[:, ::-1]
    largest = np.abs(vectors_Dk).argmax(axis=0)
    vectors_Dk = vectors_Dk * np.sign(vectors_Dk[largest, np.arange(found)])
    total = np.trace(covariance_DD)
    real = values > 1e-10 * max(total, np.finfo(float).tiny)
    scores_N3, explained_3 = np.zeros((len(centred_ND), 3)), np.zeros(3)
    scores_N3[:, :found] = centred_ND @ vectors_Dk * real
    explained_3[:found] = values / total * real if total > 0 else 0.0
    return Components(scores_N3, explained_3)


def colors_of(scores_N3: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Each component's 1st to 99th percentile over all films as 0 to 255 of R, G and B; one without spread is 128."""
    low, high = np.percentile(scores_N3, [1, 99], axis=0)
    spread = high - low
    share = np.where(spread > 0, (scores_N3 - low) / np.where(spread > 0, spread, 1), 0.5)
    return (np.clip(share, 0, 1) * 255).round().astype(np.uint8)


def write_pca_maps(path: Path, shown: Sequence[ShownFilm], *, title: str) -> None:
    """Draw a column for each film: the input, then one row for each layer, its patches as they are (no smoothing).

    Components are fitted per layer over the patches of all films, so equal colours in a row mean alike features.
    """
    from PIL import Image

    layers = range(len(shown[0].layers))
    width = max(_LABEL_PX + len(shown) * (_CELL_PX + _GAP_PX) + _GAP_PX, 720)
    page, pen = canvas.sheet(width, _HEAD_PX + (1 + len(layers)) * (_CELL_PX + _GAP_PX) + _FOOT_PX)
    canvas.write(pen, (_GAP_PX, 14), title, size_px=19, room_px=width - 2 * _GAP_PX)
    note = (
        "First three principal components of the patch features as red, green and blue, fitted per layer over all films"
    )
    canvas.write(pen, (_GAP_PX, 40), note, size_px=13, room_px=width - 2 * _GAP_PX, ink=canvas.QUIET)

    def cell(column: int, row: int) -> tuple[int, int]:
        return _LABEL_PX + column * (_CELL_PX + _GAP_PX), _HEAD_PX + row * (_CELL_PX + _GAP_PX)

    for column, one in enumerate(shown):
        film = Image.fromarray(one.levels_HW).resize((_CELL_PX, _CELL_PX), Image.Resampling.LANCZOS)
        page.paste(film, cell(column, 0))
        left, bottom = cell(column, 1 + len(layers))
        canvas.write(pen, (left, bottom), one.name, size_px=13, room_px=_CELL_PX)
    for place in layers:
        maps = [one.layers[place] for one in shown]
        found = principal_components(
            np.concatenate([m.features_HWD.reshape(-1, m.features_HWD.shape[-1]) for m in maps])
        )
        colors_N3 = colors_of(found.scores_N3)
        start = 0
        for column, map_ in enumerate(maps):
            rows, columns = map_.grid
            colors_HW3 = colors_N3[start : start + rows * columns].reshape(rows, columns, 3)
            start += rows * columns
            picture = Image.fromarray(colors_HW3).resize((_CELL_PX, _CELL_PX), Image.Resampling.NEAREST)
            page.paste(picture, cell(column, 1 + place))
        shares = " + ".join(f"{share:.1%}" for share in found.explained_3)
        lines = [maps[0].title, *maps[0].note.split(", "), "variance explained", shares]
        for line, text in enumerate(lines):
            at = (_GAP_PX, cell(0, 1 + place)[1] + 4 + 20 * line)
            ink = canvas.INK if line == 0 else canvas.QUIET
            canvas.write(pen, at, text, size_px=16 if line == 0 else 13, room_px=_LABEL_PX - 2 * _GAP_PX, ink=ink)
    page.save(path)
