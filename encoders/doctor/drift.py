"""How far a user's pixels, and the features made of them, are from the golden ones.

Shape letters: C channels, H rows, W columns, N patches, D width.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.preprocessing.recipe import Normalize

if TYPE_CHECKING:
    from encoders.contract import Encoder

Pixels = NDArray[np.float32]

# Bounds of the verdicts, ours, in levels of 255. Float arithmetic in another order gives under 0.001; another correct
# 8-bit resampler (torchvision for Pillow) a mean of 0.006 and a largest of 1; bfloat16 input a mean of 0.09; another
# kernel 0.25; no antialias 1.0; JPEG at quality 95 0.6; another intensity window 7 or more (means measured on films).
_IDENTICAL_MAX = 0.01
_CLOSE_MEAN, _CLOSE_P99 = 0.3, 3.0


class Verdict(StrEnum):
    NOT_COMPARED = "not compared"  # no pixels were given
    IDENTICAL = "identical"  # no value differs by more than 0.01 of 255 levels
    CLOSE = "close"  # the mean differs by at most 0.3 levels, and 99 % of values by at most 3
    DRIFT = "drift"


class Drift(NamedTuple):
    """Absolute differences in levels of 0 to 255 (both sides denormalised by the recipe), and the correlation.

    correlation: Pearson's over all values; None where one side is constant.
    """

    mean: float
    p99: float
    max: float
    correlation: float | None

    @property
    def verdict(self) -> Verdict:
        if self.max <= _IDENTICAL_MAX:
            return Verdict.IDENTICAL
        return Verdict.CLOSE if self.mean <= _CLOSE_MEAN and self.p99 <= _CLOSE_P99 else Verdict.DRIFT


class FeatureDrift(NamedTuple):
    """Cosines between the features of the golden and of the user's pixels: the global vector, and the patch tokens.

    random_weights: the encoder is a random twin, so they say nothing of the published one.
    """

    global_cosine: float
    patch_cosine_mean: float
    patch_cosine_min: float
    random_weights: bool = False


def difference(one_CHW: Pixels, other_CHW: Pixels, normalize: Normalize) -> Pixels:
    """Absolute difference in levels of 255: the mean of the normalisation cancels out, its std does not."""
    drift_CHW: Pixels = np.abs(one_CHW - other_CHW)
    drift_CHW *= 255 * np.array(normalize.std, dtype=np.float32).reshape(3, 1, 1)
    return drift_CHW


def mean_difference(one_CHW: Pixels, other_CHW: Pixels, normalize: Normalize) -> float:
    return float(difference(one_CHW, other_CHW, normalize).mean(dtype=np.float64))


def measure(golden_CHW: Pixels, user_CHW: Pixels, normalize: Normalize) -> Drift:
    drift_CHW = difference(golden_CHW, user_CHW, normalize)
    spread = float(golden_CHW.std(dtype=np.float64) * user_CHW.std(dtype=np.float64))
    shared = float(
        np.mean((golden_CHW - golden_CHW.mean(dtype=np.float64)) * (user_CHW - user_CHW.mean(dtype=np.float64)))
    )
    return Drift(
        float(drift_CHW.mean(dtype=np.float64)),
        float(np.percentile(drift_CHW, 99)),
        float(drift_CHW.max()),
        shared / spread if spread > 1e-12 else None,
    )


def measure_features(encoder: Encoder, golden_CHW: Pixels, user_CHW: Pixels) -> FeatureDrift:
    """Both pictures through the encoder in one batch."""
    import torch
    from torch.nn.functional import cosine_similarity

    from encoders.fingerprint import Kind, Origin

    origin = vars(encoder).get("origin")  # not there where the encoder was built by hand
    random_weights = isinstance(origin, Origin) and origin.kind is Kind.TWIN
    weight = next(encoder.parameters())
    pixels_BCHW = torch.from_numpy(np.stack([golden_CHW, user_CHW])).to(weight.device)
    with torch.inference_mode():
        features = encoder.encode(pixels_BCHW, layers=())
    (golden_D, user_D), (golden_ND, user_ND) = features.global_BD.double(), features.tokens_BND.double()
    patches_N = cosine_similarity(golden_ND, user_ND, dim=-1)
    return FeatureDrift(
        float(cosine_similarity(golden_D, user_D, dim=-1)),
        float(patches_N.mean()),
        float(patches_N.min()),
        random_weights,
    )
