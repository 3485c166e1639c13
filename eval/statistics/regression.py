"""Mean squared error and R2 of a predicted quantity, also as figures that the bootstrap can resample.

Shape letter: N studies (of the figures: ... leading axes of replicates, before the sums).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eval.figures import Figure, Floats, Group, ratio


def mse(y_N: npt.ArrayLike, prediction_N: npt.ArrayLike) -> float:
    """Mean squared error, in squared units of y; `sklearn.metrics.mean_squared_error`.

    Raises:
        ValueError: unequal lengths, no values, NaN or infinite values.
    """
    return mse_figure("mse", y_N, prediction_N).point()


def r2(y_N: npt.ArrayLike, prediction_N: npt.ArrayLike) -> float:
    """1 - squared errors / squared deviations of y from its mean; `sklearn.metrics.r2_score` where y varies.

    Raises:
        ValueError: unequal lengths, no values, NaN or infinite values, or a constant y: there is nothing to explain
            (scikit-learn gives 1.0 or 0.0 then).
    """
    return r2_figure("r2", y_N, prediction_N).point()


def mse_figure(name: str, y_N: npt.ArrayLike, prediction_N: npt.ArrayLike) -> Figure:
    """`mse` as a figure of that name. Refuses what `mse` refuses."""
    y, prediction = _checked(y_N, prediction_N)
    sums = np.column_stack([(y - prediction) ** 2, np.ones_like(y)])
    return Figure(name, name, "mse", Group.DETAIL, sums, ratio)


def r2_figure(name: str, y_N: npt.ArrayLike, prediction_N: npt.ArrayLike) -> Figure:
    """`r2` as a figure of that name; NaN in a resample in which y does not vary. Refuses what `r2` refuses."""
    y, prediction = _checked(y_N, prediction_N)
    if not np.ptp(y) > 0:
        raise ValueError(f"all {y.size} values of y are {y[0]:g}: R2 is undefined")
    # R2 does not change with origin and unit; about the mean and in standard deviations its sums lose no digits.
    z, error = (y - y.mean()) / y.std(), (y - prediction) / y.std()
    sums = np.column_stack([error**2, z**2, z, np.ones_like(z)])
    return Figure(name, name, "r2", Group.DETAIL, sums, _r2_of_sums)


def _r2_of_sums(sums: Floats) -> Floats:
    """Sums (..., 4) of squared error, z^2, z and 1."""
    error, square, total, count = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variation = square - total**2 / count
        # One study drawn over and over leaves a rounding error here, not 0.
        return np.where(variation > 1e-12 * square, 1 - error / variation, np.nan)


def _checked(y_N: npt.ArrayLike, prediction_N: npt.ArrayLike) -> tuple[Floats, Floats]:
    y, prediction = (np.asarray(values, dtype=np.float64) for values in (y_N, prediction_N))
    if y.ndim != 1 or y.shape != prediction.shape or not y.size:
        raise ValueError(f"y of shape {y.shape} and predictions of shape {prediction.shape} are not two equal lists")
    for name, values in (("y", y), ("the predictions", prediction)):
        if not np.isfinite(values).all():
            raise ValueError(f"{int((~np.isfinite(values)).sum())} of {values.size} values of {name} are not finite")
    return y, prediction
