"""Where disease lies: the fluid's surface, the border of a collapsed lung, patches and bands, in millimetres.

Shape letters: H rows, W columns, K control points.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from studies.synthetic.anatomy import Anatomy
from studies.synthetic.facts import Consolidation, Effusion, Facts, Pneumothorax, Side
from studies.synthetic.grid import Array, Ribbon

PATCH_MM = (36.0, 25.0)  # half axes of a consolidation, across and down: it stays within its third of the lung


def signed(side: Side) -> int:
    """The sign of x on the patient's side: the patient's left is the image's right."""
    return 1 if side == "left" else -1


def fluid_top(effusion: Effusion, anatomy: Anatomy, ax_W: Array) -> Array:
    """y of the fluid's surface at |x|: a meniscus, highest at the lateral wall."""
    u_W = np.clip(ax_W / anatomy.half_thorax_mm, 0, 1)
    rise_W = effusion.height_mm * (0.62 + 0.38 * u_W**3)
    return np.asarray(anatomy.angle(effusion.side) - rise_W, np.float32)


def collapsed(pneumothorax: Pneumothorax, anatomy: Anatomy) -> Anatomy:
    """The chest whose wall is the collapsed lung's border: the gap is widest at the apex, as in an upright patient."""
    gap = pneumothorax.gap_mm
    return replace(anatomy, apex_mm=anatomy.apex_mm + gap, half_thorax_mm=anatomy.half_thorax_mm - 0.55 * gap)


def patch_centre(patch: Consolidation, anatomy: Anatomy) -> tuple[float, float]:
    return signed(patch.side) * 0.56 * anatomy.half_thorax_mm, anatomy.zone_y(patch.zone, patch.side)


def bands(side: Side, facts: Facts, anatomy: Anatomy) -> list[Ribbon]:
    """Two plates of atelectasis above the base, above the fluid where there is some."""
    base = anatomy.dome(side)
    effusion = facts.effusion(side)
    if effusion is not None:
        middle = np.array([0.6 * anatomy.half_thorax_mm], np.float32)
        base = min(base, float(fluid_top(effusion, anatomy, middle)[0]))
    found = []
    for inner, outer, height, slope in ((0.40, 0.78, 17.0, 9.0), (0.50, 0.82, 31.0, 13.0)):
        x_K = np.linspace(inner, outer, 5) * anatomy.half_thorax_mm
        y_K = base - height + slope * np.linspace(0, 1, 5) ** 1.5
        found.append(Ribbon(np.stack([signed(side) * x_K, y_K], 1), 4.0, (0.1, 0.4, 0.45, 0.4, 0.1)))
    return found
