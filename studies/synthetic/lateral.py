"""A lateral film of the same chest, simple but honest: the patient faces the image's left, as is usual.

Shows the heart's depth, both domes, fluid in the posterior angles and patches at their height; no tubes and no
pneumothorax are drawn. x runs from front to back (millimetres from the carina), y downwards.

Shape letters: H rows, W columns.
"""

from __future__ import annotations

import numpy as np

from studies.synthetic.anatomy import ANGLE_DEPTH_MM, Anatomy, Heart
from studies.synthetic.facts import SIDES, Effusion, Facts, Side
from studies.synthetic.grid import Array, Grid, Mask, Ribbon, add_ribbons, clouds, smooth_curve

_FRONT_MM, _BACK_MM = -88.0, 96.0  # the lungs' borders at the level of the carina


def lateral_attenuation(facts: Facts, anatomy: Anatomy, film: Grid, rng: np.random.Generator) -> Array:
    """As `frontal.attenuation`: on the grid 2 times coarser than the film."""
    grid = film.coarser(2)
    x_W, y_H = grid.xs, grid.ys
    front_H, back_H = _front(anatomy, y_H) - 22, _back(anatomy, y_H) + 34
    middle_H, half_H = (front_H + back_H) / 2, (back_H - front_H) / 2
    body_HW = np.clip(1 - ((x_W[None, :] - middle_H[:, None]) / half_H[:, None]) ** 2, 0, None) ** np.float32(0.4)
    thick_H = np.interp(y_H, [-140, -70, 0, 120, 200], [1.6, 2.3, 2.2, 2.4, 2.5]).astype(np.float32)
    image_HW: Array = np.asarray(body_HW * thick_H[:, None], np.float32)
    cloud_HW = clouds(rng, grid)
    air_HW = _thorax(anatomy, grid, 16.0)
    air_HW *= 1 - 0.45 * facts.edema_density * (1 + 0.18 * cloud_HW)
    for side in SIDES:
        below_HW = np.clip((y_H[:, None] - _floor(side, anatomy, x_W)[None, :]) / 6, 0, 1)
        air_HW *= 1 - 0.5 * below_HW
        effusion = facts.effusion(side)
        if effusion is not None:
            air_HW *= 1 - 0.48 * np.clip((y_H[:, None] - _fluid(effusion, anatomy, x_W)[None, :]) / 8 + 0.4, 0, 1)
    for patch in facts.consolidations:
        away_HW = _radius2(x_W, y_H, 20.0, anatomy.zone_y(patch.zone, patch.side), 34, 24)
        air_HW *= 1 - 0.5 * np.clip(1.25 - away_HW + 0.4 * cloud_HW, 0, 1)
    heart = _heart(facts, anatomy)
    air_HW *= 1 - 0.75 * np.clip(1 - heart.radius2(x_W, y_H), 0, None) ** 0.6
    for x, y, half_x, half_y in ((6.0, 18.0, 20, 15), (22.0, -12.0, 16, 34)):  # hila, aortic arch
        air_HW *= 1 - 0.35 * np.clip(1 - _radius2(x_W, y_H, x, y, half_x, half_y), 0, None) ** 0.7
    image_HW -= 1.5 * air_HW
    spine_x_H = _back(anatomy, y_H) - 10
    column_HW = np.clip((17 - np.abs(x_W[None, :] - spine_x_H[:, None])) / 6, 0, 1)
    disc_H = 0.28 + 0.12 * np.cos(2 * np.pi * y_H / anatomy.rib_gap_mm)
    image_HW += column_HW * disc_H.astype(np.float32)[:, None]
    lumen_HW = np.clip(1 - ((x_W[None, :] - (-2 - 0.12 * y_H)[:, None]) / 9) ** 2, 0, None) ** 0.5
    image_HW -= 0.30 * lumen_HW * np.clip((8 - y_H) / 10, 0, 1)[:, None]
    height_K = np.linspace(anatomy.apex_mm + 30, anatomy.dome_mm - 10, 6, dtype=np.float32)
    sternum = np.stack([_front(anatomy, height_K) - 7, height_K], 1).astype(np.float64)
    ribbons = [Ribbon(smooth_curve(sternum), 10.0, (0.5, 0.25, 0.25, 0.5))]
    y_K = anatomy.apex_mm + np.arange(1, 10, dtype=np.float32) * anatomy.rib_gap_mm
    for y, back in zip(y_K.tolist(), _back(anatomy, y_K).tolist(), strict=True):
        points = np.array([[back, y - 6], [30.0, y + 16], [-40.0, y + 42]])
        ribbons.append(Ribbon(smooth_curve(points), 9.0, (0.16, 0.08, 0.08, 0.16)))
    add_ribbons(image_HW, grid, ribbons)
    return image_HW


def lateral_masks(facts: Facts, anatomy: Anatomy, film: Grid) -> dict[str, Mask]:
    """Lungs (both lie over each other), heart, and fluid of each side."""
    x_W, y_H = film.xs, film.ys
    deepest_W = np.maximum(_floor("left", anatomy, x_W), _floor("right", anatomy, x_W))
    lungs_HW = (_thorax(anatomy, film, 1.0) > 0) & (y_H[:, None] < deepest_W[None, :])
    heart_HW = _heart(facts, anatomy).radius2(x_W, y_H) <= 1
    masks = {"lungs": lungs_HW & ~heart_HW, "heart": heart_HW}
    for effusion in facts.effusions:
        surface_W = _fluid(effusion, anatomy, x_W)
        floor_W = _floor(effusion.side, anatomy, x_W)
        masks[f"effusion_{effusion.side}"] = lungs_HW & (y_H[:, None] > surface_W) & (y_H[:, None] < floor_W)
    return masks


def _front(anatomy: Anatomy, y_H: Array) -> Array:
    return np.asarray(anatomy.scale * (_FRONT_MM + 34 * np.clip(-y_H / 80, 0, 1.4) ** 1.6 - 0.10 * y_H.clip(0, 120)))


def _back(anatomy: Anatomy, y_H: Array) -> Array:
    return np.asarray(anatomy.scale * (_BACK_MM - 28 * np.clip(-y_H / 95, 0, 1.3) ** 2 + 0.04 * y_H.clip(0, 160)))


def _thorax(anatomy: Anatomy, grid: Grid, reach_mm: float) -> Array:
    """The lungs' outline above the domes, 0 outside, 1 from `reach_mm` inside on."""
    x_W, y_H = grid.xs, grid.ys
    in_HW = np.minimum(x_W[None, :] - _front(anatomy, y_H)[:, None], _back(anatomy, y_H)[:, None] - x_W[None, :])
    top_W = anatomy.apex_mm + 0.010 * (x_W - 12) ** 2
    in_HW = np.minimum(in_HW, y_H[:, None] - top_W[None, :])
    return np.asarray(np.clip(in_HW / reach_mm, 0, 1) ** 0.5, np.float32)


def _floor(side: Side, anatomy: Anatomy, x_W: Array) -> Array:
    """A dome, low behind: the posterior angle lies deepest."""
    u_W = (x_W + 20) / 100
    drop_W = np.where(u_W > 0, 0.95 * ANGLE_DEPTH_MM * u_W.clip(0, 1.3) ** 2.2, 16 * u_W.clip(-1, 0) ** 2)
    return np.asarray(anatomy.dome(side) + drop_W, np.float32)


def _fluid(effusion: Effusion, anatomy: Anatomy, x_W: Array) -> Array:
    u_W = np.clip((x_W + 20) / 110, 0, 1)
    return np.asarray(anatomy.angle(effusion.side) - effusion.height_mm * (0.62 + 0.38 * u_W**3), np.float32)


def _heart(facts: Facts, anatomy: Anatomy) -> Heart:
    grown = facts.heart_ratio / 0.44
    return Heart(-44.0, anatomy.dome("left") - 40 * grown**0.5, 58 * grown * anatomy.scale, 42 * grown, 0.9)


def _radius2(x_W: Array, y_H: Array, x: float, y: float, half_x: float, half_y: float) -> Array:
    return np.asarray(((x_W - x) / half_x)[None, :] ** 2 + ((y_H - y) / half_y)[:, None] ** 2, np.float32)
