"""Facts and a person into a film: pixels, masks, tips.

Shape letters: H rows, W columns.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from studies.synthetic.anatomy import Anatomy
from studies.synthetic.devices import KINDS, course
from studies.synthetic.facts import Device, Facts
from studies.synthetic.frontal import attenuation, frontal_masks
from studies.synthetic.grid import (
    Array,
    Grid,
    Mask,
    Points,
    Ribbon,
    add_ribbons,
    grain,
    refine,
    ribbon_mask,
    smooth_curve,
)
from studies.synthetic.lateral import lateral_attenuation, lateral_masks

Pixel = TypeVar("Pixel", bound=np.generic)
MIN_SIZE_PX, MAX_SIZE_PX = 64, 4096
_DRAWN_PX = 256  # a smaller film is drawn larger and averaged: ribs and tubes would fall between its pixels


class TipPoint(NamedTuple):
    """Where a tip lies: row and column, from the centre of the top left pixel; x_mm, y_mm: from the carina."""

    row_px: float
    column_px: float
    x_mm: float
    y_mm: float


class Rendered(NamedTuple):
    pixels_HW: Array
    masks: dict[str, Mask]
    tips: dict[str, TipPoint]
    carina_px: tuple[float, float] | None  # row, column; None on a lateral film
    spacing_mm: float


def render(facts: Facts, anatomy: Anatomy, *, size_px: int, noise: float, rng: np.random.Generator) -> Rendered:
    """Draw the film.

    Args:
        size_px: of the square film; the same `rng` state gives the same scene at every size.
        noise: standard deviation of its grain, of a range of 1.

    Raises:
        ValueError: a size or noise that makes no film.
    """
    if not MIN_SIZE_PX <= size_px <= MAX_SIZE_PX:
        raise ValueError(f"size_px {size_px} is not in {MIN_SIZE_PX} to {MAX_SIZE_PX}")
    if not 0 <= noise <= 0.2:
        raise ValueError(f"noise {noise} is not in 0 to 0.2 (of a range of 1)")
    lateral = facts.view == "LATERAL"
    field = rng.uniform(340, 368) * anatomy.scale
    shift = rng.uniform(-9, 9, 2)
    corner = (-field / 2 + shift[0], -0.385 * field + shift[1])
    black, slope = rng.uniform(0.85, 1.25), rng.uniform(0.96, 1.0)
    times = max(1, -(-_DRAWN_PX // size_px))
    shown, film = Grid(corner, field, size_px), Grid(corner, field, size_px * times)
    taken_HW = (lateral_attenuation if lateral else attenuation)(facts, anatomy, film, rng)
    taken_HW = refine(taken_HW, film.size_px)
    masks = (lateral_masks if lateral else frontal_masks)(facts, anatomy, film)
    tips: dict[str, TipPoint] = {}
    for device in facts.devices:
        points = smooth_curve(course(device, anatomy, corner[1] + field))
        masks[device.name] = _draw(taken_HW, film, device, points)
        x, y = points[-1].tolist()
        tips[device.name] = TipPoint(*shown.place(x, y), x, y)
    if not lateral:
        _add_marker(taken_HW, film)
    pixels_HW = _developed(taken_HW, float(black), float(slope))
    if times > 1:
        pixels_HW = _blocks(pixels_HW, times).mean((1, 3))
        thin = {device.name for device in facts.devices} | {name for name in masks if name.startswith("atelectasis")}
        for name, mask_HW in masks.items():
            blocks = _blocks(mask_HW, times)
            masks[name] = np.asarray(blocks.any((1, 3)) if name in thin else blocks.mean((1, 3)) >= 0.5)
    pixels_HW += grain(rng, size_px) * np.float32(noise)
    np.clip(pixels_HW, 0, 1, out=pixels_HW)
    return Rendered(pixels_HW, masks, tips, None if lateral else shown.place(0.0, 0.0), shown.spacing_mm)


def _blocks(image_HW: NDArray[Pixel], times: int) -> NDArray[Pixel]:
    """Rows and columns in blocks of `times`: H, times, W, times."""
    size = image_HW.shape[0] // times
    return image_HW.reshape(size, times, size, times)


def _developed(taken_HW: Array, black: float, slope: float) -> Array:
    """Attenuation as brightness: flat toe (air is black), flat shoulder, as a film's curve."""
    np.maximum(taken_HW, 0, out=taken_HW)
    taken_HW *= taken_HW
    shown_HW = taken_HW / (taken_HW + np.float32(black))
    shown_HW *= np.float32(slope)
    return shown_HW


def _draw(taken_HW: Array, film: Grid, device: Device, points_N2: Points) -> Mask:
    """Add the tube to the film, and give where it lies."""
    kind = KINDS[device.kind]
    drawn = [Ribbon(points_N2, kind.width_mm, kind.profile)]
    if device.kind == "intra_aortic_balloon_pump":  # its tip is a small dense marker, the rest is hardly seen
        drawn.append(Ribbon(np.array([points_N2[-1] + (0, 4.0), points_N2[-1]]), 3.5, (2.2, 2.2)))
    if device.kind == "tracheostomy_tube":
        flange_N2 = points_N2[0] + np.array([(-14.0, -3.0), (14.0, 3.0)])
        drawn.append(Ribbon(flange_N2, 4.0, (0.55, 0.55)))
    mask_HW = ribbon_mask(film, drawn)
    if device.kind == "chest_tube":  # the side port: a gap in the dense line
        away_N = np.hypot(*(points_N2 - points_N2[-1]).T)
        gap_N2 = points_N2[(away_N > 30) & (away_N < 41)]
        dense = tuple(-0.8 * amount * (amount > 0.5) for amount in kind.profile)
        drawn.append(Ribbon(gap_N2, kind.width_mm, dense))
    add_ribbons(taken_HW, film, drawn)
    return mask_HW


def _add_marker(taken_HW: Array, film: Grid) -> None:
    """A lead L beside the patient's left shoulder, as technicians put it."""
    x, y = film.corner_mm[0] + 0.93 * film.field_mm, film.corner_mm[1] + 0.05 * film.field_mm
    letter = np.array([(x, y), (x, y + 13.0), (x + 8.0, y + 13.0)])
    add_ribbons(taken_HW, film, [Ribbon(stroke, 2.4, (3.0, 3.0)) for stroke in (letter[:2], letter[1:])])
