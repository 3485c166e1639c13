"""The lungs' vessels: trees that leave the hila, thinner from branch to branch.

Shape letters: N branches, T places along a branch, M places across it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from studies.synthetic.anatomy import NUM_TREES, Anatomy
from studies.synthetic.grid import Points

_DENSITY = 0.050  # attenuation of a millimetre of blood against air
_ACROSS = (np.array([-0.8, -0.4, 0.0, 0.4, 0.8]), np.array([-0.6, 0.0, 0.6]), np.array([-0.6, 0.0, 0.6]))


def vessel_points(anatomy: Anatomy) -> tuple[Points, Points]:
    """Places (N, 2; x and y in millimetres) and what each adds: attenuation x square millimetres."""
    trees = [_tree(number) for number in anatomy.vessels]
    s = anatomy.scale
    places = [place * (sign * s, s) for sign, (place, _) in zip((-1, 1), trees, strict=True)]
    return np.concatenate(places), np.concatenate([amount for _, amount in trees]) * s**2


@lru_cache(maxsize=NUM_TREES)
def _tree(number: int) -> tuple[Points, Points]:
    """The vessels of one lung, for x to the side: made once, seeded by their number."""
    rng = np.random.default_rng([31, number])
    places, amounts = [], []
    count = 14
    angle_N = np.deg2rad(np.linspace(-78, 84, count) + rng.uniform(-9, 9, count))
    start_N2 = np.stack([rng.uniform(28, 36, count), 22 + 10 * np.sin(angle_N)], 1)
    length_N = rng.uniform(62, 108, count) * (1 - 0.25 * np.abs(np.sin(angle_N)) ** 4)
    radius_N = rng.uniform(1.5, 3.0, count)
    for across_M in _ACROSS:
        curve_NT2, heading_NT = _grow(start_N2, angle_N, length_N, rng)
        place, amount = _fill(curve_NT2, heading_NT, radius_N, length_N, across_M)
        places.append(place)
        amounts.append(amount)
        start_N2, angle_N, length_N, radius_N = _fork(curve_NT2, heading_NT, length_N, radius_N, rng)
    return np.concatenate(places), np.concatenate(amounts)


def _grow(start_N2: Points, angle_N: Points, length_N: Points, rng: np.random.Generator) -> tuple[Points, Points]:
    bend_N = rng.normal(0, 0.55, len(angle_N))
    steps = np.linspace(0, 1, max(12, int(length_N.max() / 1.6)))
    wave_NT = rng.uniform(0.03, 0.10, (len(angle_N), 1)) * np.sin(9 * steps + rng.uniform(0, 6, (len(angle_N), 1)))
    heading_NT = angle_N[:, None] + bend_N[:, None] * steps + wave_NT
    move_NT2 = np.stack([np.cos(heading_NT), np.sin(heading_NT)], 2) * (length_N[:, None, None] / len(steps))
    return start_N2[:, None, :] + np.cumsum(move_NT2, 1), heading_NT


def _fill(
    curve_NT2: Points, heading_NT: Points, radius_N: Points, length_N: Points, across_M: Points
) -> tuple[Points, Points]:
    radius_NT = radius_N[:, None] * np.linspace(1, 0.22, heading_NT.shape[1])
    normal_NT2 = np.stack([-np.sin(heading_NT), np.cos(heading_NT)], 2)
    place = curve_NT2[:, :, None] + normal_NT2[:, :, None] * (radius_NT[:, :, None] * across_M)[..., None]
    area_NT = 2 * radius_NT / len(across_M) * (length_N[:, None] / heading_NT.shape[1])
    amount = (_DENSITY * 2 * radius_NT * area_NT)[:, :, None] * np.sqrt(1 - across_M**2)
    return place.reshape(-1, 2), amount.reshape(-1)


def _fork(
    curve_NT2: Points, heading_NT: Points, length_N: Points, radius_N: Points, rng: np.random.Generator
) -> tuple[Points, Points, Points, Points]:
    """Two branches of each, at about a third and two thirds of it, to either side."""
    rows = np.repeat(np.arange(len(length_N)), 2)
    share = np.tile([0.30, 0.58], len(length_N)) + rng.uniform(-0.08, 0.08, len(rows))
    column = (share * heading_NT.shape[1]).astype(int)
    turn = np.tile([1.0, -1.0], len(length_N)) * rng.choice([-1, 1], len(length_N)).repeat(2)
    angle = heading_NT[rows, column] + turn * rng.uniform(0.45, 0.85, len(rows))
    return (
        curve_NT2[rows, column],
        angle,
        length_N[rows] * (1 - share) * rng.uniform(0.55, 0.85, len(rows)),
        radius_N[rows] * (1 - 0.78 * share) * 0.72,
    )
