"""One person's chest as curves: where wall, mediastinum, heart and diaphragm run, in millimetres from the carina.

Typical adult measures, this generator's own: a thorax some 28 cm wide inside, apices 10 cm above the carina, domes 10
to 11 cm below it, a trachea of 18 mm, main bronchi at some 25 degrees (right) and 45 degrees (left).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from studies.synthetic.facts import Side
from studies.synthetic.grid import Array

CAVOATRIAL_JUNCTION_MM = 41.0  # below the carina: some 4 cm (Mahlon and Yoon, J Vasc Interv Radiol 2007;18:1106)
SVC_TOP_MM = -30.0  # where the brachiocephalic veins meet
ANGLE_DEPTH_MM = 44.0  # the costophrenic angle below its dome
KNOB_TOP_MM = -40.0
NUM_TREES = 64  # of vessels that a lung may have (`studies.synthetic.vessels`)


class Heart(NamedTuple):
    """A tilted ellipse. x, y: its centre; half_long, half_short: its half axes; tilt: of the long one, downwards."""

    x: float
    y: float
    half_long: float
    half_short: float
    tilt: float

    @property
    def half_width(self) -> float:
        return float(np.hypot(self.half_long * np.cos(self.tilt), self.half_short * np.sin(self.tilt)))

    def radius2(self, x_W: Array, y_H: Array) -> Array:
        """Squared elliptic radius: 1 on the border, 0 in the centre."""
        c, s = np.float32(np.cos(self.tilt)), np.float32(np.sin(self.tilt))
        x, y = (x_W - np.float32(self.x))[None, :], (y_H - np.float32(self.y))[:, None]
        long, short = np.float32(1 / self.half_long), np.float32(1 / self.half_short)
        return np.asarray((x * (c * long) + y * (s * long)) ** 2 + (x * (s * short) - y * (c * short)) ** 2)


@dataclass(frozen=True)
class Anatomy:
    """scale: of everything, about 1; half_thorax_mm: half the inner width at its widest; apex_mm, dome_mm: y of the
    lungs' tops and of the right dome (the left one lies `left_dome_mm` lower); the rest is looks."""

    sex: Literal["F", "M"] = "M"
    age: int = 50
    scale: float = 1.0
    half_thorax_mm: float = 138.0
    apex_mm: float = -100.0
    dome_mm: float = 102.0
    left_dome_mm: float = 10.0
    heart_share: float = 0.31  # of the heart's width that lies to the patient's right of the midline
    knob_mm: float = 15.0
    rib_gap_mm: float = 21.0
    clavicle_mm: float = -66.0
    breast: float = 0.0
    fat_mm: float = 30.0
    vessels: tuple[int, int] = (0, 1)  # which of the trees, right and left
    breath_mm: float = 0.0  # how much higher the domes stand than in full inspiration

    def dome(self, side: Side) -> float:
        return self.dome_mm - self.breath_mm + (self.left_dome_mm if side == "left" else 0.0)

    def angle(self, side: Side) -> float:
        """y of the costophrenic angle."""
        return self.dome(side) + ANGLE_DEPTH_MM

    def wall(self, y_H: Array) -> Array:
        """Half the inner width of the rib cage; 0 above the apices."""
        span = self.dome_mm * 0.85 - self.apex_mm
        t_H = np.clip((y_H - self.apex_mm) / span, 0, None)
        rising_H = 1 - np.clip(1 - t_H, 0, 1) ** 2.6
        return np.asarray(self.half_thorax_mm * rising_H ** (1 / 2.1), np.float32)

    def medial(self, side: Side, y_H: Array) -> Array:
        """|x| where the lung meets spine and great vessels (the heart lies over it)."""
        inward = 20.0 if side == "right" else 18.0
        apical_H = 26.0 * np.exp(-(y_H - self.apex_mm) / 9.0)
        hilar_H = 9.0 * np.exp(-(((y_H - 26.0) / 22.0) ** 2))
        return np.asarray(self.scale * (inward + apical_H.clip(0, 60) + hilar_H), np.float32)

    def floor(self, side: Side, ax_W: Array) -> Array:
        """y of the diaphragm at |x|: a dome that falls steeply to the costophrenic angle."""
        u_W = ax_W / self.half_thorax_mm
        lateral_W = ANGLE_DEPTH_MM * (np.clip(u_W - 0.42, 0, 1) / 0.58) ** 2.2
        medial_W = 13.0 * (np.clip(0.42 - u_W, 0, 1) / 0.42) ** 2
        return np.asarray(self.dome(side) + lateral_W + medial_W, np.float32)

    def zone_y(self, zone: str, side: Side) -> float:
        """The middle height of a third of the lung."""
        share = {"upper": 1 / 5, "middle": 1 / 2, "lower": 4 / 5}[zone]
        return self.apex_mm + share * (self.dome(side) - self.apex_mm)

    def heart(self, ratio: float) -> Heart:
        """The heart whose width is `ratio` of the thorax's, standing on the left dome."""
        half_width = ratio * self.half_thorax_mm
        tilt = float(np.deg2rad(38.0 - 55.0 * max(ratio - 0.44, 0)))
        aspect = 0.74 - 0.55 * max(ratio - 0.44, 0)  # it grows in width more than in height
        half_long = half_width / float(np.hypot(np.cos(tilt), aspect * np.sin(tilt)))
        half_short = aspect * half_long
        half_height = float(np.hypot(half_long * np.sin(tilt), half_short * np.cos(tilt)))
        x = half_width * (1 - 2 * self.heart_share)
        return Heart(x, self.dome("left") + 9.0 - half_height, half_long, half_short, tilt)

    def body(self, y_H: Array) -> Array:
        """Half the outer width of neck, shoulders and trunk."""
        trunk = self.half_thorax_mm + self.fat_mm
        y = [-190, -140, -118, -104, -88, -66, -40, -15, 60, 200, 300]
        half = [62, 60, 70, 106, 164, 206, 196, trunk + 10, trunk, trunk - 3, trunk - 6]
        return np.asarray(np.interp(y_H, np.asarray(y) * self.scale, half), np.float32)

    def trachea_x(self, y_H: Array) -> Array:
        """x of the trachea's middle: it leans a little to the right beside the aortic knob."""
        return np.asarray(-4.0 * np.exp(-(((y_H + 25.0) / 30.0) ** 2)), np.float32)


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """A person at random."""
    sex: Literal["F", "M"] = "F" if rng.random() < 0.5 else "M"
    scale = rng.normal(0.96 if sex == "F" else 1.03, 0.03)
    return Anatomy(
        sex=sex,
        age=int(rng.integers(19, 95)),
        scale=scale,
        half_thorax_mm=138 * scale * rng.uniform(0.95, 1.05),
        apex_mm=-99 * scale * rng.uniform(0.96, 1.04),
        dome_mm=102 * scale * rng.uniform(0.95, 1.06),
        left_dome_mm=rng.uniform(6, 14),
        heart_share=rng.uniform(0.27, 0.34),
        knob_mm=rng.uniform(13, 18),
        rib_gap_mm=21 * scale,
        clavicle_mm=rng.uniform(-72, -60),
        breast=rng.uniform(0.10, 0.28) if sex == "F" else 0.0,
        fat_mm=rng.uniform(24, 38),
        vessels=(int(rng.integers(NUM_TREES)), int(rng.integers(NUM_TREES))),
    )
