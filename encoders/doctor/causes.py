"""The bank of mistakes: each is the golden pipeline with one change, in words that say what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image
from pydantic import BaseModel

from encoders.doctor.ways import Contrast, Output, Squeeze, Turn, Way
from encoders.preprocessing.recipe import Fit, Intensity, Kernel, Normalize, Polarity, Resize, Rounding, Scale
from studies.images import Film

# Published normalisations that get mistaken for one another (torchvision; OpenAI CLIP; SigLIP and others; RAD-DINO).
_NORMALIZATIONS = {
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "OpenAI CLIP's": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "0.5 as": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "RAD-DINO's": ((0.5307, 0.5307, 0.5307), (0.2583, 0.2583, 0.2583)),
}


@dataclass(frozen=True)
class Cause:
    """One mistake.

    name: in a few words, unique; advice: what to change; aspect: what it is about: two of one aspect exclude each
    other; changes: fields of the way, or of a part of its recipe, that it sets.
    """

    name: str
    advice: str
    aspect: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    def applied_to(self, way: Way) -> Way:
        changed: dict[str, Any] = {}
        for name, value in self.changes.items():
            part = getattr(way, name)
            changed[name] = part.model_copy(update=value) if isinstance(part, BaseModel) else value
        return replace(way, **changed)


def bank(film: Film, golden: Way) -> list[Cause]:
    """Every mistake that can be made with this film and this encoder."""
    return [
        *_shades(film, golden.intensity),
        *_depth(film, golden.intensity),
        *_resize(golden.resize),
        *_square(golden.resize),
        *_place(),
        *_numbers(golden.normalize),
    ]


def _shades(film: Film, intensity: Intensity) -> Iterator[Cause]:
    swapped = Polarity.AIR_BRIGHT if intensity.polarity is Polarity.AIR_DARK else Polarity.AIR_DARK
    if film.inverted:
        name, advice = "not inverted (or twice)", f"the file is {film.photometric}: invert it exactly once"
    else:
        name, advice = "inverted", f"the file is {film.photometric}, air is dark as stored: do not invert it"
    yield Cause(name, advice, "polarity", {"intensity": {"polarity": swapped}})
    if film.kind == "dicom":
        if intensity.voi:
            name, advice = "window ignored", "apply the file's own VOI LUT or window"
        else:
            name, advice = "window applied", "leave the file's VOI LUT or window aside"
        yield Cause(name, advice, "window", {"intensity": {"voi": not intensity.voi}})
    own = (intensity.byte if film.bits <= 8 else intensity.deep, intensity.percentiles)
    for scale, percentiles, name in (
        (Scale.FULL_RANGE, None, "full range"),
        (Scale.MIN_MAX, None, "min-max"),
        (Scale.PERCENTILE, (1.0, 99.0), "1st to 99th percentile"),
        (Scale.PERCENTILE, (0.5, 99.5), "0.5th to 99.5th percentile"),
    ):
        if scale is not own[0] or (scale is Scale.PERCENTILE and percentiles != own[1]):
            changed = {"byte": scale, "deep": scale, "percentiles": percentiles}
            advice = f"scale {film.bits}-bit films by {own[0].value.replace('_', ' ')}"
            yield Cause(f"scaled by {name}", advice, "scale", {"intensity": changed})
    advice = "take the films as they were before equalisation"
    yield Cause("histogram equalised", advice, "contrast", {"contrast": Contrast.EQUALIZED})
    yield Cause("CLAHE of clip 2", advice, "contrast", {"contrast": Contrast.CLAHE_2})
    yield Cause("CLAHE of clip 40", advice, "contrast", {"contrast": Contrast.CLAHE_40})


def _depth(film: Film, intensity: Intensity) -> Iterator[Cause]:
    if film.bits > 8:
        raw = {"intensity": {"voi": False}}
        advice = f"{film.bits}-bit values were cut at 255, as Pillow's convert does: scale them to 8 bits first"
        yield Cause("saturated at 255", advice, "squeeze", {"squeeze": Squeeze.SATURATED, **raw})
        advice = f"{film.bits}-bit values went through >> 8 (or // 256): scale them by the range they have"
        yield Cause("shifted by 8 bits", advice, "squeeze", {"squeeze": Squeeze.SHIFTED, **raw})
    if intensity.bit_depth == 8:
        yield Cause("kept as floats", "round to 8 bits before the resize", "depth", {"intensity": {"bit_depth": 0}})
        if intensity.rounding is Rounding.EVEN:
            other, name, advice = Rounding.DOWN, "cut to 8 bits", "round to the nearest level; astype(uint8) cuts"
        else:
            other, name, advice = Rounding.EVEN, "rounded to 8 bits", "cut to whole levels, as this publisher does"
        yield Cause(name, advice, "depth", {"intensity": {"rounding": other}})
    else:
        yield Cause("rounded to 8 bits", "keep floats up to the input", "depth", {"intensity": {"bit_depth": 8}})
    advice = "keep films without loss (PNG) between reading and encoding"
    for quality in (75, 95):
        yield Cause(f"JPEG of quality {quality} before the resize", advice, "jpeg", {"jpeg_before": quality})
        yield Cause(f"JPEG of quality {quality} after the resize", advice, "jpeg", {"jpeg_after": quality})


def _resize(resize: Resize) -> Iterator[Cause]:
    advice = f"resize with the {resize.kernel.value} kernel, {'with' if resize.antialias else 'without'} antialias"
    for kernel in Kernel:
        if kernel is not resize.kernel and (resize.antialias or kernel is not Kernel.LANCZOS):
            yield Cause(f"{kernel.value} resize", advice, "kernel", {"resize": {"kernel": kernel}})
        other = f"{kernel.value} resize {'without' if resize.antialias else 'with'} antialias"
        if not (resize.antialias and kernel is Kernel.LANCZOS):
            changed = {"kernel": kernel, "antialias": not resize.antialias}
            yield Cause(other, advice, "kernel", {"resize": changed})
    yield Cause("nearest resize", advice, "kernel", {"sampling": Image.Resampling.NEAREST})
    yield Cause("area resize", advice, "kernel", {"sampling": Image.Resampling.BOX})


def _square(resize: Resize) -> Iterator[Cause]:
    for fit, name in ((Fit.SQUASH, "squashed"), (Fit.PAD, "padded"), (Fit.CROP, "cropped")):
        if fit is not resize.fit:
            offset = Rounding.DOWN if fit is Fit.CROP else None
            changed = {"fit": fit, "crop_offset": offset, "shorter_side_px": None}
            yield Cause(name, f"make the film square by {resize.fit.value}", "fit", {"resize": changed})
    if resize.fit is Fit.CROP:
        size, shorter = resize.size_px, resize.shorter_side_px or resize.size_px
        advice = f"resize the shorter side to {shorter} px, then crop {size} px"
        if shorter == size:
            name, other = "cropped with a margin (256 for 224)", round(size * 256 / 224)
        else:
            name, other = "cropped without the margin", size
        yield Cause(name, advice, "margin", {"resize": {"shorter_side_px": other}})


def _place() -> Iterator[Cause]:
    for turn, name in (
        (Turn.LEFT_RIGHT, "left and right swapped"),
        (Turn.TOP_BOTTOM, "upside down"),
        (Turn.TRANSPOSED, "rows and columns swapped"),
        (Turn.AGAINST_CLOCK, "turned a quarter against the clock"),
        (Turn.WITH_CLOCK, "turned a quarter with the clock"),
    ):
        yield Cause(name, "keep the film as stored: row 0 its top, column 0 its left", "turn", {"turn": turn})
    for shift, name in (((1, 0), "down"), ((-1, 0), "up"), ((0, 1), "to the right"), ((0, -1), "to the left")):
        yield Cause(f"one pixel {name}", "the crop or the resize is one pixel off", "shift", {"shift_px": shift})


def _numbers(own: Normalize) -> Iterator[Cause]:
    advice = f"feed (value in [0, 1] - mean) / std, mean {_short(own.mean)}, std {_short(own.std)}"
    for output, name in (
        (Output.UNIT, "not normalised, [0, 1]"),
        (Output.BYTES, "not normalised, 0 to 255"),
        (Output.TWICE, "normalised twice"),
        (Output.OWN, "normalised by its own mean and std"),
        (Output.XRV, "in the range -1024 to 1024"),
    ):
        yield Cause(name, advice, "normalisation", {"output": output})
    for name, (mean, std) in _NORMALIZATIONS.items():
        if (mean, std) != (own.mean, own.std):
            changed = {"normalize": {"mean": mean, "std": std}}
            yield Cause(f"normalised with {name} mean and std", advice, "normalisation", changed)
    for dtype in ("bfloat16", "float16"):
        yield Cause(f"{dtype} pixels", "normalise in float32 and cast inside the encoder", "cast", {"cast": dtype})


def _short(values: tuple[float, float, float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else "/".join(f"{value:g}" for value in values)
