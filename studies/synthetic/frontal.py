"""A frontal film of a chest: attenuation summed from its parts, then shown as a film shows it.

Shape letters: H rows, W columns. Smooth parts are summed on a grid 4 times coarser than the film, edges on one 2 times
coarser, tubes on the film itself. An attenuation of 2 is the trunk's middle, 0 is air.
"""

from __future__ import annotations

import numpy as np

from studies.synthetic.anatomy import ANGLE_DEPTH_MM, KNOB_TOP_MM, Anatomy
from studies.synthetic.disease import PATCH_MM, bands, collapsed, fluid_top, patch_centre, signed
from studies.synthetic.facts import SIDES, Facts, Side
from studies.synthetic.grid import (
    Array,
    Grid,
    Mask,
    Ribbon,
    add_points,
    add_ribbons,
    clouds,
    refine,
    ribbon_mask,
    smooth_curve,
)
from studies.synthetic.vessels import vessel_points

_TRUNK, _SHOULDER, _LUNG_AIR = 2.1, 1.55, 1.50


def attenuation(facts: Facts, anatomy: Anatomy, film: Grid, rng: np.random.Generator) -> Array:
    """What the body takes from the beam, on the grid 2 times coarser than the film; tubes are not in it."""
    coarse = film.coarser(4)
    half = film.coarser(2)
    image_HW = refine(_soft_parts(anatomy, coarse), half.count)
    cloud_HW = clouds(rng, half)
    vessels_HW = np.zeros_like(image_HW)
    points_N2, amount_N = vessel_points(anatomy)
    add_points(vessels_HW, half, points_N2, amount_N / half.spacing_mm**2 * (1 + 1.6 * facts.edema_density))
    muscle_HW = _muscle(half, facts, anatomy)
    for side in SIDES:
        _add_lung(image_HW, half, facts, anatomy, side, cloud_HW, vessels_HW, muscle_HW)
    _add_vessels_of_the_middle(image_HW, half, anatomy)
    _add_bones(image_HW, half, anatomy)
    _add_airway(image_HW, half, anatomy)
    for side in facts.atelectasis:
        add_ribbons(image_HW, half, bands(side, facts, anatomy))
    return image_HW


def side_columns(grid: Grid, side: Side) -> slice:
    """The columns of the patient's side."""
    middle = int(np.searchsorted(grid.xs, 0.0))
    return slice(middle, None) if side == "left" else slice(0, middle)


def frontal_masks(facts: Facts, anatomy: Anatomy, film: Grid) -> dict[str, Mask]:
    """Lung fields (with the fluid and air that lie in them, without the heart), heart, and each disease."""
    masks: dict[str, Mask] = {}
    y_H = film.ys
    wall_H = anatomy.wall(y_H)
    heart = anatomy.heart(facts.heart_ratio)
    heart_HW = _blank(film)
    rows = (np.abs(y_H - heart.y) <= heart.half_long).nonzero()[0]
    columns = (np.abs(film.xs - heart.x) <= heart.half_long).nonzero()[0]
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    heart_HW[box] = heart.radius2(film.xs[box[1]], y_H[box[0]]) <= 1
    for side in SIDES:
        columns_of_side = side_columns(film, side)
        ax_W = np.abs(film.xs[columns_of_side])
        space_HW = ax_W[None, :] < wall_H[:, None]
        space_HW &= ax_W[None, :] > anatomy.medial(side, y_H)[:, None]
        space_HW &= y_H[:, None] < anatomy.floor(side, ax_W)[None, :]
        masks[f"{side}_lung"] = _placed(space_HW & ~heart_HW[:, columns_of_side], film, columns_of_side)
        effusion, pneumothorax = facts.effusion(side), facts.pneumothorax(side)
        if effusion is not None:
            fluid_HW = space_HW & (y_H[:, None] > fluid_top(effusion, anatomy, ax_W)[None, :])
            masks[f"effusion_{side}"] = _placed(fluid_HW, film, columns_of_side)
        if pneumothorax is not None:
            air_HW = space_HW & (ax_W[None, :] > collapsed(pneumothorax, anatomy).wall(y_H)[:, None])
            masks[f"pneumothorax_{side}"] = _placed(air_HW, film, columns_of_side)
        for patch in facts.consolidations:
            if patch.side == side:
                x, y = patch_centre(patch, anatomy)
                inside_HW = _ellipse(film.xs[columns_of_side], y_H, x, y, *PATCH_MM) < 0.85
                masks[f"consolidation_{side}_{patch.zone}"] = _placed(inside_HW & space_HW, film, columns_of_side)
        if side in facts.atelectasis:
            masks[f"atelectasis_{side}"] = ribbon_mask(film, bands(side, facts, anatomy))
    masks["heart"] = heart_HW
    return masks


def _blank(film: Grid) -> Mask:
    return np.zeros((film.size_px, film.size_px), np.bool_)


def _placed(part_HW: Mask, film: Grid, columns: slice) -> Mask:
    mask_HW = _blank(film)
    mask_HW[:, columns] = part_HW
    return mask_HW


def _ellipse(x_W: Array, y_H: Array, x: float, y: float, half_x: float, half_y: float) -> Array:
    """Squared elliptic radius."""
    across_W = ((x_W - np.float32(x)) / np.float32(half_x)) ** 2
    down_H = ((y_H - np.float32(y)) / np.float32(half_y)) ** 2
    return np.asarray(across_W[None, :] + down_H[:, None], np.float32)


def _dome(radius2_HW: Array) -> Array:
    """The thickness of an ellipsoid, 1 in the middle and 0 on its border."""
    return np.asarray(np.sqrt(np.clip(1 - radius2_HW, 0, None)))


def _soft_parts(anatomy: Anatomy, grid: Grid) -> Array:
    x_W, y_H = grid.xs, grid.ys
    half_H = anatomy.body(y_H)
    inside_HW = np.clip(1 - (x_W[None, :] / half_H[:, None]) ** 2, 0, None)
    thick_H = np.interp(y_H, [-190, -120, -70, 0, 120, 200], [1.35, 1.4, _SHOULDER, _TRUNK, _TRUNK, 2.2])
    image_HW = np.asarray(inside_HW**0.42 * thick_H.astype(np.float32)[:, None], np.float32)
    for side in SIDES:
        sign = signed(side)
        _max_capsule(image_HW, grid, sign * anatomy.scale * 176, -52, sign * anatomy.scale * 232, 110, 44)
        if anatomy.breast:
            breast_HW = _dome(_ellipse(x_W, y_H, sign * 78, 62, 58, 48))
            image_HW += np.float32(anatomy.breast) * breast_HW
    liver_HW = _dome(_ellipse(x_W, y_H, -70, anatomy.dome("right") + 78, 120, 80))
    image_HW += np.float32(0.22) * liver_HW
    bubble_y = anatomy.dome("left") + 24
    bubble_HW = _dome(_ellipse(x_W, y_H, 66, bubble_y, 34, 19))
    bubble_HW *= np.clip((bubble_y + 10 - y_H) / 5, 0, 1)[:, None]  # a level of fluid
    image_HW -= np.float32(0.75) * bubble_HW
    return image_HW


def _max_capsule(image_HW: Array, grid: Grid, x0: float, y0: float, x1: float, y1: float, radius: float) -> None:
    """An upper arm: a round limb beside the trunk."""
    px_W, py_H = grid.xs - np.float32(x0), grid.ys - np.float32(y0)
    dx, dy = x1 - x0, y1 - y0
    along_HW = np.clip((px_W[None, :] * dx + py_H[:, None] * dy) / (dx * dx + dy * dy), 0, 1)
    away2_HW = (px_W[None, :] - along_HW * dx) ** 2 + (py_H[:, None] - along_HW * dy) ** 2
    np.maximum(image_HW, 1.25 * np.sqrt(np.clip(1 - away2_HW / radius**2, 0, None)), out=image_HW)


def _ramp(distance_HW: Array, reach_mm: float) -> Array:
    """0 outside, rising like the edge of something round, 1 from `reach_mm` on."""
    return np.asarray(np.sqrt(np.clip(distance_HW * np.float32(1 / reach_mm), 0, 1)))


def _add_lung(
    image_HW: Array,
    grid: Grid,
    facts: Facts,
    anatomy: Anatomy,
    side: Side,
    cloud_HW: Array,
    vessels_HW: Array,
    muscle_HW: Array,
) -> None:
    columns = side_columns(grid, side)
    y_all_H = grid.ys
    first, last = np.searchsorted(y_all_H, [anatomy.apex_mm - 4, anatomy.dome(side) + ANGLE_DEPTH_MM + 4])
    box = np.s_[first:last, columns]
    ax_W, y_H = np.abs(grid.xs[columns])[None, :], y_all_H[first:last, None]
    wall_H = anatomy.wall(y_all_H[first:last])
    to_wall_HW = _across(wall_H, grid)[:, None] * (wall_H[:, None] - ax_W)
    air_HW = _ramp(to_wall_HW, 34)
    air_HW *= _ramp(ax_W - anatomy.medial(side, y_all_H[first:last])[:, None], 11)
    air_HW *= _ramp(anatomy.floor(side, ax_W[0])[None, :] - y_H, 9)
    lung_HW = air_HW.copy()  # what is aerated; its vessels are seen
    clouds_HW = cloud_HW[box]
    if facts.edema_density:
        near_HW = np.exp(-_ellipse(ax_W[0], y_H[:, 0], 40, 24, 95, 82))
        haze_HW = np.float32(facts.edema_density) * near_HW * (1 + np.float32(0.30) * clouds_HW)
        lung_HW *= 1 - np.clip(haze_HW * 1.25, 0, 0.92)
    for patch in facts.consolidations:
        if patch.side == side:
            x, y = patch_centre(patch, anatomy)
            away_HW = _ellipse(ax_W[0], y_H[:, 0], abs(x), y, *PATCH_MM)
            lung_HW *= 1 - np.float32(0.72) * np.clip(1.25 - away_HW + np.float32(0.42) * clouds_HW, 0, 1)
    effusion, pneumothorax = facts.effusion(side), facts.pneumothorax(side)
    if effusion is not None:
        depth_HW = y_H - fluid_top(effusion, anatomy, ax_W[0])[None, :]
        lung_HW *= 1 - np.float32(0.96) * np.clip(depth_HW / 10 + 0.4, 0, 1)
    if pneumothorax is not None:
        border_H = collapsed(pneumothorax, anatomy).wall(y_all_H[first:last])
        inward_HW = _across(border_H, grid)[:, None] * (border_H[:, None] - ax_W)
        kept_HW = np.clip(inward_HW / 2 + 0.5, 0, 1)
        image_HW[box] += np.float32(0.30) * np.exp(-((inward_HW - 0.6) ** 2) / 1.6) * (air_HW > 0.2)
        lung_HW *= kept_HW * np.float32(1 - pneumothorax.gap_mm / 260)  # a smaller lung is denser
        lung_HW += air_HW * (1 - kept_HW) * np.float32(1.10)  # pure air
        vessels_HW[box] *= kept_HW
    # The heart takes the air's place: it is seen against lung, and hardly against mediastinum or fluid.
    heart_HW = muscle_HW[box]
    lung_HW *= 1 - np.float32(0.80) * heart_HW
    image_HW[box] -= np.float32(_LUNG_AIR) * lung_HW * (1 + np.float32(0.03) * clouds_HW)
    image_HW[box] += vessels_HW[box] * np.minimum(lung_HW, 1)


def _across(border_H: Array, grid: Grid) -> Array:
    """Horizontal distance to the border x this = distance to it."""
    return np.asarray(1 / np.hypot(1, np.gradient(border_H, grid.spacing_mm)), np.float32)


def _muscle(grid: Grid, facts: Facts, anatomy: Anatomy) -> Array:
    """How much of the air the heart displaces: a steep border, then nearly all."""
    heart = anatomy.heart(facts.heart_ratio)
    return np.sqrt(_dome(heart.radius2(grid.xs, grid.ys)))


def _add_vessels_of_the_middle(image_HW: Array, grid: Grid, anatomy: Anatomy) -> None:
    """Aorta, pulmonary trunk, hila, superior vena cava."""
    s, knob = anatomy.scale, anatomy.knob_mm
    descending_W = np.sqrt(np.clip(1 - ((grid.xs - 18 * s) / 13) ** 2, 0, None))
    image_HW += (0.30 * np.clip((grid.ys + 30) / 20, 0, 1))[:, None].astype(np.float32) * descending_W[None, :]
    for amount, x, y, half_x, half_y in (
        (0.62, 20 * s, KNOB_TOP_MM + knob, knob + 4, knob),
        (0.55, 22 * s, 22, 18, 24),  # pulmonary trunk
        (0.42, -30 * s, 26, 11, 20),
        (0.42, 37 * s, 16, 10, 14),
        (0.42, -14 * s, -25, 13, 62),
    ):
        left, right = np.searchsorted(grid.xs, [x - half_x, x + half_x])
        top, bottom = np.searchsorted(grid.ys, [y - half_y, y + half_y])
        away_HW = _ellipse(grid.xs[left:right], grid.ys[top:bottom], x, y, half_x, half_y)
        image_HW[top:bottom, left:right] += np.float32(amount) * _dome(away_HW)


def _rib_profile() -> Array:
    """Across one gap between ribs, 64 samples: a rib with denser edges, then none."""
    f = (np.arange(64) + 0.5) / 64
    edge = np.exp(-(((f - 0.04) / 0.045) ** 2)) + np.exp(-(((f - 0.40) / 0.045) ** 2))
    body = 1 / (1 + np.exp(-(f - 0.03) / 0.012)) / (1 + np.exp((f - 0.42) / 0.012))
    return np.asarray(0.62 * body + 0.38 * edge, np.float32)


_RIB = _rib_profile()


def _add_bones(image_HW: Array, grid: Grid, anatomy: Anatomy) -> None:
    _add_ribs(image_HW, grid, anatomy)
    s, y = anatomy.scale, anatomy.clavicle_mm
    column_W = np.clip((18 * s - np.abs(grid.xs + 1)) / 7, 0, 1)
    discs_H = 0.20 + 0.05 * np.cos(2 * np.pi * (grid.ys / anatomy.rib_gap_mm))
    image_HW += discs_H.astype(np.float32)[:, None] * column_W[None, :]
    ribbons = []
    for side in SIDES:
        sign = signed(side)
        bone = np.array([[19, y + 3], [45, y - 6], [85, y - 15], [125, y - 23], [160, y - 20]]) * (sign, 1)
        blade = smooth_curve(np.array([[150, y + 12], [146, y + 45], [132, y + 95], [118, y + 118]]) * (sign * s, 1))
        arm = np.array([[172, y - 2], [188, y + 40], [204, y + 95]]) * (sign * s, 1)
        ribbons += [
            Ribbon(smooth_curve(bone), 11.0, (0.2, 0.42, 0.26, 0.24, 0.26, 0.42, 0.2)),
            Ribbon(blade, 7.0, (0.05, 0.16, 0.22, 0.08)),
            Ribbon(arm, 23.0, (0.1, 0.55, 0.45, 0.35, 0.35, 0.45, 0.55, 0.1)),
        ]
    add_ribbons(image_HW, grid, ribbons)


def _add_ribs(image_HW: Array, grid: Grid, anatomy: Anatomy) -> None:
    """All ribs at once: how many gaps a place lies below the first rib, along the curve that the ribs share, says how
    much bone there is. The curve is a ring seen from the front: its back half runs out, its front half comes back."""
    gap, top = np.float32(anatomy.rib_gap_mm), np.float32(anatomy.apex_mm - 4)
    reach = anatomy.half_thorax_mm + 4
    first, last = np.searchsorted(grid.ys, [anatomy.apex_mm - 12, anatomy.apex_mm + 14 * anatomy.rib_gap_mm])
    left, right = np.searchsorted(grid.xs, [-reach, reach])
    box = np.s_[first:last, left:right]
    cage_H = anatomy.wall(grid.ys[first:last] + 3) + np.float32(3.5)
    u_HW = np.abs(grid.xs[left:right]) / cage_H[:, None]
    inside_HW = u_HW < 1
    down_HW = (grid.ys[first:last] - top)[:, None] / gap
    bend_HW = np.sqrt(np.clip(1 - u_HW * u_HW, 0, None))
    drop = np.float32(54 * anatomy.scale) / gap
    for sign, amount, count in ((-1, 0.24, 11.4), (1, 0.15, 7.4)):  # back, then front halves
        phase_HW = down_HW - drop * (1 + sign * bend_HW)
        part_HW = _RIB[(phase_HW * 64).astype(np.int32) & 63]
        part_HW *= inside_HW & (phase_HW > 0) & (phase_HW < count)
        if sign > 0:
            part_HW *= np.clip(u_HW * np.float32(2.2) - np.float32(0.55), 0, 1)  # cartilage is not seen
        part_HW *= np.float32(amount)
        image_HW[box] += part_HW


def _add_airway(image_HW: Array, grid: Grid, anatomy: Anatomy) -> None:
    y_H, x_W, s = grid.ys, grid.xs, anatomy.scale
    last = int(np.searchsorted(y_H, 1.0))
    middle_H = np.asarray(anatomy.trachea_x(y_H[:last]))
    lumen_HW = np.sqrt(np.clip(1 - ((x_W[None, :] - middle_H[:, None]) / (9 * s)) ** 2, 0, None))
    image_HW[:last] -= np.float32(0.52) * lumen_HW.astype(np.float32)
    tube = tuple(-0.34 * np.sqrt(1 - np.linspace(-0.98, 0.98, 9) ** 2))
    bronchi = ((-17, 34, 13.0), (38, 36, 11.0))
    ends = [(np.array([[np.sign(x) * 4.0 * s, -4], [x * s, y * s]]), width * s) for x, y, width in bronchi]
    add_ribbons(image_HW, grid, [Ribbon(points, width, tube) for points, width in ends])
