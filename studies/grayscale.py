"""A DICOM's grey transformations as one table: what each stored value is shown as (PS3.3 C.11, PS3.4 N.2).

Shape letters: V the 2^BitsStored stored words in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom import Dataset

Values = NDArray[np.float64]


class GreyError(ValueError):
    """A grey transformation that the standard does not allow; the message says which tag, not which file."""


class Shown(NamedTuple):
    """shown_V: float32 in [0, 1], by stored word; window: what set black and white; inverted: once, at the end."""

    shown_V: NDArray[np.float32]
    window: str
    inverted: bool


def shown_values(dataset: Dataset, *, bits: int, signed: bool, voi: bool, window_index: int) -> Shown:
    """What each stored word is shown as.

    In this order: Modality LUT Sequence or Rescale; VOI LUT Sequence if there is one, else the window; Presentation
    LUT. 0 and 1 are the ends of the last stage's range: of a LUT's bits, of a window, or, with no VOI stage, of all
    that can be stored. A negative Rescale Slope is part of the data: it swaps the ends.

    The film is inverted if Photometric Interpretation is MONOCHROME1 or Presentation LUT Shape is INVERSE, and once
    if both: the standard requires INVERSE of a MONOCHROME1 image, as another way to say it (PS3.3 C.8.11.3 and
    C.11.6.1.2). So a MONOCHROME1 image whose shape says IDENTITY, which the standard forbids, is inverted.

    Args:
        bits: Bits Stored. signed: whether Pixel Representation is 1.
        voi: whether there is a VOI stage. window_index: which window or VOI LUT.

    Raises:
        GreyError: a transformation that is incomplete or forbidden, or no window of that index.
    """
    words_V = np.arange(2**bits)
    stored_V = np.where(words_V >= 2 ** (bits - 1), words_V - 2**bits, words_V) if signed else words_V
    values_V, ends = _modality(dataset, stored_V.astype(np.float64), signed)
    shown_V, window = _voi(dataset, values_V, ends, window_index) if voi else (_full(values_V, ends), "full range")
    if dataset.get("PresentationLUTSequence"):
        return Shown(_presentation(dataset, shown_V).astype(np.float32), window, inverted=False)
    shape = str(dataset.get("PresentationLUTShape") or "IDENTITY").strip().upper()
    if shape not in ("IDENTITY", "INVERSE"):
        raise GreyError(f"Presentation LUT Shape is {shape!r}; an image's is IDENTITY or INVERSE")
    inverted = shape == "INVERSE" or dataset.PhotometricInterpretation == "MONOCHROME1"
    return Shown((1 - shown_V if inverted else shown_V).astype(np.float32), window, inverted)


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """A numeric tag's values; none where it is absent or empty."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return []
    return [float(one) for one in (value if isinstance(value, (list, tuple)) or hasattr(value, "insert") else [value])]


def _modality(dataset: Dataset, stored_V: Values, signed: bool) -> tuple[Values, tuple[float, float]]:
    """The values that windows speak of, and the two that are black and white where there is no window."""
    if dataset.get("ModalityLUTSequence"):
        lut = _Lut.read(dataset, "ModalityLUTSequence", 0, signed)
        return lut(stored_V), (0.0, lut.largest)
    slope, intercept = numbers(dataset, "RescaleSlope"), numbers(dataset, "RescaleIntercept")
    if len(slope) != len(intercept) or slope[:1] == [0.0]:
        raise GreyError(f"Rescale Slope is {slope or 'absent'} and Rescale Intercept {intercept or 'absent'}")
    if slope:
        stored_V = stored_V * slope[0] + intercept[0]
    return stored_V, (float(stored_V.min()), float(stored_V.max()))


def _voi(dataset: Dataset, values_V: Values, ends: tuple[float, float], index: int) -> tuple[Values, str]:
    luts = dataset.get("VOILUTSequence") or []
    centers, widths = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    kind, count = ("VOI LUT", len(luts)) if luts else ("window", len(centers))
    if not luts and len(centers) != len(widths):
        raise GreyError(f"Window Center has {len(centers)} values and Window Width {len(widths)}; voi=False needs none")
    if index >= max(count, 1):
        raise GreyError(f"window_index is {index}, and there are {count} of kind {kind}")
    if luts:
        lut = _Lut.read(dataset, "VOILUTSequence", index, signed=ends[0] < 0)
        return lut(values_V) / lut.largest, f"VOI LUT {index + 1} of {count}"
    if not centers:
        return _full(values_V, ends), "full range"
    center, width = centers[index], widths[index]
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    name = f"VOI window {index + 1} of {count} (center {center:g}, width {width:g}, {function})"
    return _windowed(values_V, center, width, function), name


def _windowed(values_V: Values, center: float, width: float, function: str) -> Values:
    """PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT), onto [0, 1]."""
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise GreyError(f"VOI LUT Function is {function!r}; LINEAR, LINEAR_EXACT and SIGMOID are defined")
    least = "at least 1" if function == "LINEAR" else "above 0"
    if width <= 0 or (width < 1 and function == "LINEAR"):
        raise GreyError(f"Window Width is {width:g}; {function} needs one {least}. voi=False reads it without a window")
    if function == "SIGMOID":
        from scipy.special import expit

        return np.asarray(expit(4 * (values_V - center) / width), dtype=np.float64)
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    if width == 0:
        return (values_V > center).astype(np.float64)
    return np.asarray(np.clip((values_V - center) / width + 0.5, 0, 1))


def _full(values_V: Values, ends: tuple[float, float]) -> Values:
    return (values_V - ends[0]) / (ends[1] - ends[0])


def _presentation(dataset: Dataset, shown_V: Values) -> Values:
    """PS3.3 C.11.4 and C.11.6: as many entries as the input has values, the output P-Values."""
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        raise GreyError("a Presentation LUT Sequence and MONOCHROME1 together leave open whether to invert")
    lut = _Lut.read(dataset, "PresentationLUTSequence", 0, signed=False)
    return lut(shown_V * (len(lut.entries) - 1)) / lut.largest


@dataclass(frozen=True)
class _Lut:
    """A LUT of PS3.3 C.11.1.1 and C.11.2.1.1: first stored value mapped, entries, bits of an entry."""

    first: int
    entries: Values
    bits: int

    @property
    def largest(self) -> float:
        return float(2**self.bits - 1)

    def __call__(self, values_V: Values) -> Values:
        places = np.clip(np.rint(values_V) - self.first, 0, len(self.entries) - 1)
        return np.asarray(self.entries[places.astype(np.intp)])

    @classmethod
    def read(cls, dataset: Dataset, keyword: str, index: int, signed: bool) -> _Lut:
        """signed: how the first value mapped is to be read, whose VR files get wrong."""
        item = dataset[keyword].value[index]
        if "LUTDescriptor" not in item or "LUTData" not in item or len(item.LUTDescriptor) != 3:
            raise GreyError(f"{keyword} lacks its LUT Descriptor or LUT Data")
        count, first, bits = (int(value) for value in item.LUTDescriptor)
        count = (count & 0xFFFF) or 65536  # 65536 does not fit in 16 bits and is written 0
        first &= 0xFFFF
        if signed and first >= 0x8000:
            first -= 0x10000
        if not 1 <= bits <= 16:
            raise GreyError(f"{keyword} says {bits} bits an entry; LUTs have 8 to 16")
        entries = cls._entries(item.LUTData, count, bits, little_endian=dataset.original_encoding[1] is not False)
        if len(entries) != count:
            raise GreyError(f"{keyword} has {len(entries)} entries of the {count} it declares")
        if entries.max() >= 2**bits:
            raise GreyError(f"{keyword} has an entry of {entries.max()}, more than its {bits} bits hold")
        return cls(first, entries.astype(np.float64), bits)

    @staticmethod
    def _entries(data: object, count: int, bits: int, *, little_endian: bool) -> NDArray[np.uint16]:
        if isinstance(data, int):  # one entry only
            data = [data]
        if not isinstance(data, (bytes, bytearray)):
            data, little_endian = np.asarray(data).astype(np.uint16).astype("<u2").tobytes(), True
        if bits <= 8 and len(data) == count + count % 2:  # two entries of 8 bits in a word
            packed = np.frombuffer(data, np.uint8)
            return (packed if little_endian else packed.reshape(-1, 2)[:, ::-1].ravel())[:count].astype(np.uint16)
        return np.frombuffer(data, "<u2" if little_endian else ">u2", count=min(count, len(data) // 2)).astype(
            np.uint16
        )
