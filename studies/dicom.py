"""A chest film from a DICOM file: what is refused, how its pixels are decoded, what its tags say.

Needs pydicom, and imagecodecs for the compressed transfer syntaxes: JPEG of 8 and 12 bits, lossless JPEG, JPEG-LS,
JPEG 2000 with HTJ2K, RLE.

Shape letters: H rows, W columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from studies.grayscale import GreyError, numbers, shown_values
from studies.images import Film, ImageError, grey_of_colour
from studies.view import view_position

if TYPE_CHECKING:
    from pydicom import Dataset

Scalar = TypeVar("Scalar", bound=np.generic)

_MODALITIES = ("CR", "DX", "RG")  # computed, digital and digitised-film radiography
_CR = "1.2.840.10008.5.1.4.1.1.1"
_DX = "1.2.840.10008.5.1.4.1.1.1.1"
_DX_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"

_REQUIRED = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "PixelRepresentation"),
)
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
_CODECS = {
    "1.2.840.10008.1.2.5": "dicomrle",
    **{f"1.2.840.10008.1.2.4.{number}": "jpeg8" for number in (50, 51, 57, 70)},
    **{f"1.2.840.10008.1.2.4.{number}": "jpegls" for number in (80, 81)},
    **{f"1.2.840.10008.1.2.4.{number}": "jpeg2k" for number in (90, 91, 201, 202, 203)},
}
_END_OF_IMAGE = b"\xff\xd9"  # ends all JPEGs; their data never hold it, as each FF is followed by a stuffed byte
_LOOKED_UP_AT_ONCE = 32768  # pixels whose indices fit in a core's cache; the whole film would pay for fresh memory


def read_dicom(path: Path, *, voi: bool, window_index: int) -> Film:
    """See `studies.images.read_film`.

    Modality CR, DX and RG are films; without the tag, the CR and DX storage classes. An image "for processing" is
    not: it is the detector's, before the contrast that people and encoders know. Pixels equal to Pixel Padding Value
    (or in its range) are shown as the file says, and are not valid.

    Raises:
        ImageError: no usable film; the message says why.
    """
    try:
        from pydicom import dcmread
    except ImportError:
        raise ImageError(f"{path} is DICOM, and pydicom is not here: pip install 'carina-cxr[images]'") from None
    try:
        dataset = dcmread(path, force=True)
        _refuse_others(dataset, path)
        return _film(dataset, path, voi=voi, window_index=window_index)
    except (ImageError, ImportError):
        raise
    except GreyError as error:
        raise ImageError(f"{path}: {error}") from None
    except Exception as error:  # pydicom and the codecs raise nearly everything on broken files
        why = (str(error).splitlines() or [""])[0]  # some of pydicom's messages hold a traceback
        raise ImageError(f"{path} is broken or truncated DICOM: {type(error).__name__}: {why}") from error


def _refuse_others(dataset: Dataset, path: Path) -> None:
    modality, storage = str(dataset.get("Modality") or ""), str(dataset.get("SOPClassUID") or "")
    if "DirectoryRecordSequence" in dataset:
        raise ImageError(f"{path} is a DICOMDIR, a list of files and no image; name the files it lists")
    if "EncryptedAttributesSequence" in dataset:
        raise ImageError(f"{path} has encrypted attributes; decrypt it first")
    if "PixelData" not in dataset:
        what = f"modality {modality or 'not given'}, {len(dataset)} tags"
        raise ImageError(f"{path} has no integer pixel data ({what}): no image, or cut off before them")
    if modality not in _MODALITIES and (modality or storage not in (_CR, _DX, _DX_FOR_PROCESSING)):
        raise ImageError(
            f"{path} has modality {modality or 'not given'}; chest films are {', '.join(_MODALITIES)}. "
            "If it is one, correct its Modality tag or export it as PNG"
        )
    intent = str(dataset.get("PresentationIntentType") or "")
    if intent == "FOR PROCESSING" or storage == _DX_FOR_PROCESSING:
        raise ImageError(f"{path} is an image for processing, not for presentation: the detector's raw values")
    lacking = [keyword for keyword in _REQUIRED if dataset.get(keyword) in (None, "")]
    if lacking:
        raise ImageError(f"{path} lacks {', '.join(lacking)}, which every DICOM image has")
    frames = dataset.get("NumberOfFrames") or 1
    if frames > 1:
        raise ImageError(f"{path} has {frames} frames; a film has one")
    photometric, samples = str(dataset.PhotometricInterpretation), dataset.SamplesPerPixel
    if photometric not in ("MONOCHROME1", "MONOCHROME2") and samples != 3:
        raise ImageError(f"{path} is {photometric} with {samples} samples a pixel; a film is grey")
    allocated, stored = dataset.BitsAllocated, dataset.BitsStored
    high = dataset.get("HighBit")
    if allocated not in (8, 16) or not 1 < stored <= allocated or (samples == 3 and stored != 8):
        raise ImageError(f"{path} has {stored} bits stored in {allocated}; films have 8 to 16 (colour 8)")
    if high is not None and high != stored - 1:
        raise ImageError(f"{path} has High Bit {high}; DICOM requires {stored - 1} of {stored} bits (PS3.5 8.1.1)")


def _film(dataset: Dataset, path: Path, *, voi: bool, window_index: int) -> Film:
    words_HW = _decoded(dataset, path)
    bits, signed = int(dataset.BitsStored), dataset.PixelRepresentation == 1
    valid_HW = None
    if words_HW.ndim == 3:
        if window_index:
            raise ImageError(f"{path} is RGB and has no windows; window_index is {window_index}")
        pixels_HW, window, inverted = grey_of_colour(words_HW, path), "full range", False
    else:
        shown_V, window, inverted = shown_values(dataset, bits=bits, signed=signed, voi=voi, window_index=window_index)
        pixels_HW = _look_up(shown_V, words_HW)
        padding_V = _is_padding(dataset, bits, signed)
        if padding_V.any():
            valid_HW = _look_up(~padding_V, words_HW)
    image_type = dataset.get("ImageType") or [None]
    origin = image_type if isinstance(image_type, str) else image_type[0]
    view, view_source = view_position(dataset)
    spacing_mm, spacing_kind = _spacing(dataset)
    calibration = str(dataset.get("PixelSpacingCalibrationType") or "") or None
    return Film(
        path,
        pixels_HW,
        bits,
        "dicom",
        str(dataset.PhotometricInterpretation),
        inverted=inverted,
        window=window,
        voi=voi if dataset.get("VOILUTSequence") or numbers(dataset, "WindowCenter") else None,
        valid_HW=None if valid_HW is None or valid_HW.all() else valid_HW,
        view=view,
        view_source=view_source,
        orientation=_orientation(dataset),
        derived={"DERIVED": True, "ORIGINAL": False}.get(origin),
        spacing_mm=spacing_mm,
        spacing_kind=spacing_kind,
        spacing_calibration=calibration if spacing_kind == "PixelSpacing" else None,
    )


def _orientation(dataset: Dataset) -> tuple[str, str] | None:
    stated = dataset.get("PatientOrientation") or []
    ways = [str(one).upper() for one in stated] if not isinstance(stated, str) else []
    return (ways[0], ways[1]) if len(ways) == 2 and all(ways) else None


def _decoded(dataset: Dataset, path: Path) -> NDArray[Any]:
    """The stored words, H,W, unsigned 8 or 16 bits (their bits above Bits Stored may be anything); of colour H,W,3."""
    from pydicom.encaps import get_frame
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    syntax = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    if syntax is None and not dataset["PixelData"].is_undefined_length:
        implicit, little_endian = dataset.original_encoding
        syntax = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
        )
        dataset.file_meta.TransferSyntaxUID = syntax
    if syntax in _NATIVE:
        grey = dataset.SamplesPerPixel == 1
        options: dict[str, Any] = {"view_only": True, "correct_unused_bits": False}  # the look-up ignores those bits
        words, _ = get_decoder(syntax).as_array(dataset, index=0, raw=grey, **options)
        return _unsigned(words)
    if syntax not in _CODECS:
        raise ImageError(f"{path} has transfer syntax {syntax or 'not given'}, which is not known here")
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if _CODECS[syntax] != "dicomrle" and frame.rfind(_END_OF_IMAGE) < 0:
        raise ImageError(f"{path} is truncated: its compressed image has no end")
    words = _decompressed(frame, _CODECS[syntax], dataset, path)
    shape = (dataset.Rows, dataset.Columns, 3)[: 2 if dataset.SamplesPerPixel == 1 else 3]
    if words.shape != shape:
        raise ImageError(f"{path} says it is {shape}, and its compressed image is {words.shape}")
    if dataset.PixelRepresentation == 1:
        words = words.view(np.dtype(words.dtype.str.replace("u", "i")))
    bits, low, high = dataset.BitsStored, int(words.min()), int(words.max())
    if low < -(2 ** (bits - 1)) or high >= 2**bits:
        raise ImageError(f"{path} says {bits} bits are stored, and its compressed values reach from {low} to {high}")
    return _unsigned(words)


def _unsigned(words: NDArray[Any]) -> NDArray[Any]:
    return words.view(np.dtype(words.dtype.str.replace("i", "u")))


def _decompressed(frame: bytes, codec: str, dataset: Dataset, path: Path) -> NDArray[Any]:
    try:
        import imagecodecs
    except ImportError:
        raise ImageError(
            f"{path} is compressed; decoding needs imagecodecs: pip install 'carina-cxr[images]'"
        ) from None
    if codec != "dicomrle":
        return np.asarray(getattr(imagecodecs, f"{codec}_decode")(frame))
    word = np.dtype(f"<u{dataset.BitsAllocated // 8}")
    data = np.frombuffer(imagecodecs.dicomrle_decode(frame, dtype=word), word)
    wanted = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel
    if data.size != wanted:
        raise ImageError(f"{path} is truncated: RLE gives {data.size} values of {wanted}")
    if dataset.SamplesPerPixel == 1:
        return data.reshape(dataset.Rows, dataset.Columns)
    return np.moveaxis(data.reshape(3, dataset.Rows, dataset.Columns), 0, 2)


def _look_up(table_V: NDArray[Scalar], words_HW: NDArray[Any]) -> NDArray[Scalar]:
    """table_V[words_HW], with the words' bits above Bits Stored ignored, in new memory for the result only."""
    by_word = np.tile(table_V, max(1, 2 ** (8 * words_HW.dtype.itemsize) // table_V.size))
    found_HW = np.empty_like(by_word, shape=words_HW.shape)
    words, found = np.ascontiguousarray(words_HW).reshape(-1), found_HW.reshape(-1)
    places = np.empty(_LOOKED_UP_AT_ONCE, np.intp)
    for start in range(0, words.size, _LOOKED_UP_AT_ONCE):
        part = places[: min(_LOOKED_UP_AT_ONCE, words.size - start)]
        part[...] = words[start : start + part.size]
        np.take(by_word, part, out=found[start : start + part.size], mode="clip")
    return found_HW


def _is_padding(dataset: Dataset, bits: int, signed: bool) -> NDArray[np.bool_]:
    """By stored word, whether it is Pixel Padding Value or between it and Pixel Padding Range Limit (PS3.3 C.7.5)."""
    ends = [
        int(end) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit") for end in numbers(dataset, keyword)
    ]
    words_V = np.arange(2**bits)
    if not ends or "PixelPaddingValue" not in dataset:
        return np.zeros(words_V.size, dtype=np.bool_)
    stored_V = np.where(words_V >= 2 ** (bits - 1), words_V - 2**bits, words_V) if signed else words_V
    return np.asarray((stored_V >= min(ends)) & (stored_V <= max(ends)))


def _spacing(dataset: Dataset) -> tuple[tuple[float, float] | None, str | None]:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = numbers(dataset, keyword)
        if len(spacing) == 2 and min(spacing) > 0:
            return (spacing[0], spacing[1]), keyword
    return None, None
