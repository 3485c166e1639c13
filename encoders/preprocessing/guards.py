"""Checks that stop a wrong picture before an encoder turns it into plausible numbers.

Each names what it saw and the usual cause. Any of them can be switched off by name, and none by accident.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from encoders.preprocessing.intensity import Levels
from encoders.preprocessing.polarity import Verdict, judge_polarity, percentile_ends, shrink_to_cells
from encoders.preprocessing.recipe import Recipe
from studies.images import Film

_FEWEST_GREYS = 8  # of the file's own grey levels
_SPECKS = 0.03  # of the cells at either end may be markers or letters
_LEAST_CONTRAST = 0.2  # of its range: mere noise spans 0.10 once averaged in cells, 125 public films 0.37 or more
_FEWEST_LEVELS = 32  # of 255, that the encoder sees; 125 public films span 109 or more from percentile 1 to 99
_MOST_SATURATED = 0.5  # of the pixels at the top; 125 public films: at most 0.004; cut down from 10 bits: 0.52 or more
_UNKNOWN_VIEW_MARGIN = 0.05  # a film that may be a lateral has to look more clearly inverted


class Guard(StrEnum):
    RANGE = "range"  # values that no film, or no input of this recipe, can have
    BLANK = "blank"  # one value everywhere
    CONSTANT = "constant"  # nearly so
    CLIPPED = "clipped"  # deep pixels cut off at the top, as PIL does from 16 to 8 bits
    ORIENTATION = "orientation"  # a frontal film that its file calls mirrored or turned
    POLARITY = "polarity"  # a negative: MONOCHROME1 not inverted, or inverted twice
    WINDOW = "window"  # read with its window though the recipe wants none, or the other way round
    CHANNELS = "channels"  # three channels that are not one grey picture
    NORMALIZATION = "normalization"  # another encoder's mean and std, or none


class PreprocessingError(ValueError):
    """A picture that the recipe does not mean. guard: which check found it."""

    def __init__(self, guard: Guard, message: str) -> None:
        super().__init__(guard, message)  # as given, so that it can be pickled from a worker process
        self.guard = guard

    def __str__(self) -> str:
        return f"{self.args[1]} [guard: {self.guard.value}]"


def check_film(film: Film, *, skip: Collection[Guard] = ()) -> None:
    """Refuse a film whose values cannot be, that is blank or nearly, clipped at the top, or a negative.

    A film whose file says it is no frontal view is not judged for its polarity.

    Raises:
        PreprocessingError: the first guard that fails, but for those of `skip`.
    """
    skip = _guards(skip)
    pixels_HW = film.pixels_HW
    darkest, brightest = film.extremes
    if Guard.RANGE not in skip and not (darkest >= 0 and brightest <= 1):  # NaN fails both
        raise PreprocessingError(
            Guard.RANGE, f"{film.path}: a film's values go from 0 to 1; these go from {darkest:.6g} to {brightest:.6g}"
        )
    if Guard.BLANK not in skip and darkest == brightest:
        raise PreprocessingError(Guard.BLANK, f"{film.path}: blank: all {pixels_HW.size} pixels are {darkest:.6g}")
    sample_HW = _sample(film)
    if Guard.CLIPPED not in skip:
        saturated = float(np.mean(sample_HW >= brightest))
        if saturated > _MOST_SATURATED:
            raise PreprocessingError(
                Guard.CLIPPED,
                f"{film.path}: {saturated:.0%} of the pixels have the largest value: cut off at the top, as PIL does "
                "when it converts 16 bits to 8 (read the original file with studies.images.read_film), or a film in a "
                "large white surround (crop it)",
            )
    if Guard.CONSTANT not in skip:
        low, high = percentile_ends(shrink_to_cells(sample_HW), share=_SPECKS)
        greys = (high - low) * (2**film.bits - 1)
        if greys < _FEWEST_GREYS or high - low < _LEAST_CONTRAST * (brightest - darkest):
            raise PreprocessingError(
                Guard.CONSTANT,
                f"{film.path}: nearly constant: apart from noise and specks it goes from {low:.3g} to {high:.3g}, "
                f"{greys:.1f} of its {2**film.bits} grey levels; all its pixels from {darkest:.3g} to {brightest:.3g}",
            )
    if Guard.ORIENTATION not in skip and film.view in ("AP", "PA") and film.orientation is not None:
        right, down = film.orientation
        if not (right.startswith("L") and down.startswith("F")):
            raise PreprocessingError(
                Guard.ORIENTATION,
                f"{film.path}: PatientOrientation {right}\\{down} says that it is mirrored or turned: on a frontal "
                "film the patient's left is on the right (L\\F). Turn its pixels, or correct the tag if they are right",
            )
    if Guard.POLARITY not in skip and film.view in (None, "AP", "PA"):
        judged = judge_polarity(sample_HW[::2, ::2], min_margin=_UNKNOWN_VIEW_MARGIN if film.view is None else 0.0)
        if judged.verdict is Verdict.INVERTED:
            done = "was inverted on reading" if film.inverted else "was not inverted on reading"
            raise PreprocessingError(
                Guard.POLARITY,
                f"{film.path}: air looks bright and bone dark (score {judged.score:.2f}); {film.photometric} "
                f"{done}: its tag is wrong, or it had been inverted before",
            )


def check_window(film: Film, recipe: Recipe, *, skip: Collection[Guard] = ()) -> None:
    """Refuse a film that was read with its window or VOI LUT where the recipe wants none, or without where it does.

    Raises:
        PreprocessingError: guard WINDOW.
    """
    wanted = recipe.intensity.voi
    if film.voi is not None and film.voi is not wanted and Guard.WINDOW not in _guards(skip):
        raise PreprocessingError(
            Guard.WINDOW,
            f"{film.path}: read as {film.window}; {recipe.encoder} takes films {'with' if wanted else 'without'} their "
            f"window: read_film(path, voi={wanted})",
        )


def check_levels(levels_HW: Levels, recipe: Recipe, *, skip: Collection[Guard] = ()) -> None:
    """Refuse what would reach the encoder nearly black, white or flat, though the film is not.

    Raises:
        PreprocessingError: guard RANGE.
    """
    if Guard.RANGE in _guards(skip):
        return
    step = max(1, len(levels_HW) // 64)
    low, high = percentile_ends(levels_HW[::step, ::step])
    if high - low < _FEWEST_LEVELS:
        raise PreprocessingError(
            Guard.RANGE,
            f"unexpected range: {recipe.encoder} would see {high - low:.0f} of 255 grey levels; was a 12-bit film "
            f"stored as 16 bits, or the wrong window used? Its recipe scales 8-bit files by "
            f"{recipe.intensity.byte.value}, deeper ones by {recipe.intensity.deep.value}",
        )


def _guards(names: Collection[Guard]) -> frozenset[Guard]:
    return frozenset(Guard(name) for name in names)  # ValueError for a misspelt one


def _sample(film: Film) -> NDArray[np.float32]:
    """Every n-th pixel, so that the shorter side has 128 to 255 of them; burned-in boxes take the others' mean."""
    step = max(1, min(film.pixels_HW.shape) // 128)
    sample_HW = film.pixels_HW[::step, ::step]
    if film.valid_HW is None:
        return sample_HW
    valid_HW = film.valid_HW[::step, ::step]
    if not valid_HW.any():
        return sample_HW
    return np.where(valid_HW, sample_HW, sample_HW[valid_HW].mean(dtype=np.float32))
