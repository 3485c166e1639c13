"""Reads a chest film from DICOM, PNG or JPEG into one float image of one polarity, and says what was done to it.

Shape letters: H rows, W columns, C colours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from studies.burned_in import find_burned_in

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Greys that went through a lossy colour codec differ by a few levels between channels; a colour photograph by far more.
_GREY_TOLERANCE = 8

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_OTHER_KINDS = (
    ((b"II*\0", b"MM\0*"), "a TIFF"),
    ((b"GIF8",), "a GIF"),
    ((b"BM",), "a BMP"),
    ((b"RIFF",), "a WebP"),
    ((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), "a bare JPEG 2000"),
    ((b"%PDF",), "a PDF"),
    ((b"PK\x03\x04",), "a ZIP archive"),
    ((b"\x1f\x8b",), "a gzip file"),
    ((b"Salted__", b"\x30\x80", b"\x30\x82", b"\x30\x83", b"\x30\x84"), "an encrypted file (OpenSSL or CMS envelope)"),
    ((b"<", b"{"), "text"),
)


class ImageError(ValueError):
    """A file that is no usable chest film; the message names the file, the reason and what to do."""


@dataclass(frozen=True)
class Film:
    """One film.

    pixels_HW: float32 in [0, 1]; 0 is shown black, 1 white; air is dark and bone bright, whatever the file's polarity.
    bits: bits of information a pixel had in the file (8 for an 8-bit PNG; BitsStored of a DICOM).
    valid_HW: False where statistics should not look: burned-in white boxes (`studies.burned_in`) and a DICOM's pixel
    padding; None where there is none of either. The pixels themselves are left as they are.
    kind: "dicom", "png" or "jpeg". photometric: the file's own ("MONOCHROME1", "L", "RGB", ...).
    inverted: whether it was inverted once to get there. window: what set black and white, for people
    ("full range", "VOI window 1 of 2 (center 2048, width 4096, LINEAR)", "VOI LUT 1 of 1", ...).
    voi: whether the file's VOI LUT or window was applied; None where it has none.
    view: "AP", "PA", "LATERAL" (LL, RL and LATERAL), "OTHER", or None where the file does not say, or says two things;
    view_source: the tag that said so, or "conflict: ..." with what each tag says.
    orientation: PatientOrientation, where the rows and the columns lead: ("L", "F") on a frontal film as it is read,
    ("R", "F") on its mirror image; None where the file doesn't say. The pixels are left as the file has them.
    derived: ImageType's DERIVED, None where absent.
    spacing_mm: row and column spacing; spacing_kind: "PixelSpacing" or "ImagerPixelSpacing" (at the detector:
    magnified) or "NominalScannedPixelSpacing" (a digitised film), None where the file gives none.
    spacing_calibration: PixelSpacingCalibrationType, "GEOMETRY" (corrected for an assumed magnification) or
    "FIDUCIAL" (by an object of known size in the image); None where the file doesn't say: then PixelSpacing may be the
    detector's as well (PS3.3 10.7.1.3).
    """

    path: Path
    pixels_HW: NDArray[np.float32]
    bits: int
    kind: str
    photometric: str
    inverted: bool
    window: str
    voi: bool | None = None
    valid_HW: NDArray[np.bool_] | None = None
    view: str | None = None
    view_source: str | None = None
    orientation: tuple[str, str] | None = None
    derived: bool | None = None
    spacing_mm: tuple[float, float] | None = None
    spacing_kind: str | None = None
    spacing_calibration: str | None = None

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The smallest and largest pixel, masked ones included; looked for once: a large film takes milliseconds."""
        return float(self.pixels_HW.min()), float(self.pixels_HW.max())


def read_film(path: str | Path, *, voi: bool = True, window_index: int = 0) -> Film:
    """Read one film. Its kind is told by its content, never by its name.

    An 8-bit file gives value / 255, a 16-bit PNG value / 65535 and a PNG of 2 or 4 bits value / 3 or 15. Three equal
    colour channels (within 8 of 255, for files that were once lossy) are a grey film. An opaque alpha channel is
    dropped; EXIF's orientation is applied; gamma chunks and colour profiles are not. See `studies.dicom` for DICOM.

    Args:
        voi: apply a DICOM's VOI LUT or window; False keeps the full range of its stored values.
        window_index: which of several windows or LUTs.

    Raises:
        ImageError: no file, truncated, encrypted, several frames, colour, no image, another modality, blank.
        ValueError: a negative window_index, or one beside voi=False.
    """
    if window_index < 0 or (window_index and not voi):
        raise ValueError(
            f"window_index is {window_index} and voi {voi}; it counts windows from 0, and voi=False uses none"
        )
    path = Path(path)
    head = _head(path)
    if head.startswith((_PNG, _JPEG)):
        if window_index:
            raise ImageError(f"{path} is a PNG or JPEG and has no windows; window_index is {window_index}")
        film = _read_picture(path, head)
    elif looks_like_dicom(head):
        from studies.dicom import read_dicom

        film = read_dicom(path, voi=voi, window_index=window_index)
    else:
        names = [name for starts, name in _OTHER_KINDS if head.startswith(starts)]
        what = names[0] if names else "no image that is known here"
        raise ImageError(f"{path} is {what} (it begins with {head[:4].hex(' ')}); a film is DICOM, PNG or JPEG")
    _refuse_blank(film)
    boxes_HW = find_burned_in(film.pixels_HW)
    if boxes_HW is None:
        return film
    return replace(film, valid_HW=boxes_HW if film.valid_HW is None else boxes_HW & film.valid_HW)


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file's first 132 bytes are DICOM's: the preamble and its mark, or, in files without, a first tag of
    group 0002 or 0008 with a low element number (either byte order)."""
    bare = head[:2] in (b"\x02\x00", b"\x08\x00") and head[3:4] == b"\x00"
    bare_big_endian = head[:3] in (b"\x00\x02\x00", b"\x00\x08\x00")
    return head[128:132] == b"DICM" or (len(head) >= 132 and (bare or bare_big_endian))


def _head(path: Path) -> bytes:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # opening a pipe would wait for ever
            raise ImageError(f"{path} is a pipe or device, no file")
        with path.open("rb") as file:
            head = file.read(132)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}") from None
    if not head.strip(b"\0"):
        raise ImageError(f"{path} is {'empty' if not head else 'zeros'}: an unfinished copy?")
    return head


def _refuse_blank(film: Film) -> None:
    pixels_HW = film.pixels_HW
    coarse = pixels_HW[::8, ::8]  # tells nearly all films at a sixty-fourth of the cost
    if coarse.min() < coarse.max():
        return
    valid = pixels_HW if film.valid_HW is None else pixels_HW[film.valid_HW]
    if valid.size == 0 or valid.min() == valid.max():
        shown = f"{valid.flat[0]:.3g} of 1" if valid.size else "padding"
        raise ImageError(f"{film.path} is blank: every pixel is {shown} (with {film.window})")


def _read_picture(path: Path, head: bytes) -> Film:
    from PIL import Image, ImageOps

    kind = "png" if head.startswith(_PNG) else "jpeg"
    try:
        # A PNG begins with IHDR: bit depth is byte 24, colour type 25 (0 is grey)
        depth, coloured = (head[24], head[25] != 0) if kind == "png" else (8, False)
        if depth == 1 or (depth == 16 and coloured):
            why = "1 bit a pixel: a mask, no film" if depth == 1 else "colour of 16 bits, which Pillow reads as 8"
            raise ImageError(f"{path} is {why}; save it as grey of 8 or 16 bits")
        plain_HW = _plain_grey_png(path) if kind == "png" and depth >= 8 and not coloured else None
        if plain_HW is not None:
            pixels_HW = _unit(plain_HW, 2**depth - 1)
            mode = "L" if depth == 8 else "I;16"
            return Film(path, pixels_HW, depth, kind, mode, inverted=False, window="full range")
        with Image.open(path, formats=("PNG", "JPEG")) as opened:
            frames = getattr(opened, "n_frames", 1)
            if frames > 1:
                raise ImageError(f"{path} has {frames} frames; a film has one")
            photometric = opened.mode
            ImageOps.exif_transpose(opened, in_place=True)
            pixels_HW = _grey(opened, path)
    except (ImageError, ImportError):
        raise
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, ... on broken files
        raise ImageError(f"{path} is a broken or truncated {kind.upper()}: {error}") from error
    return Film(path, pixels_HW, depth, kind, photometric, inverted=False, window="full range")


def _plain_grey_png(path: Path) -> NDArray[Any] | None:
    """The values of a whole PNG that is nothing but grey, by imagecodecs: 1.6 times as fast as Pillow.

    None where anything else in the file matters (transparency, orientation, animation) or it is cut off: Pillow's.
    """
    import imagecodecs

    data = path.read_bytes()
    at, name = len(_PNG), b""
    while at + 12 <= len(data) and name != b"IEND":  # chunks: length, name, that many bytes, checksum
        name = data[at + 4 : at + 8]
        if name in {b"tRNS", b"eXIf", b"acTL"}:
            return None
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    if name != b"IEND" or at > len(data):
        return None
    values_HW: NDArray[Any] = imagecodecs.png_decode(data)
    return values_HW


def _grey(picture: Picture, path: Path) -> NDArray[np.float32]:
    """H,W in [0, 1] of a loaded picture."""
    if picture.mode.startswith("I"):  # 16-bit PNG; convert("L") would saturate it
        return _unit(np.asarray(picture), 65535)
    if picture.has_transparency_data:
        picture = picture.convert("LA" if picture.mode in ("L", "LA") else "RGBA")
        least = picture.getextrema()[-1][0]  # type: ignore[index]
        if least < 255:
            raise ImageError(f"{path} is transparent in places (alpha down to {least} of 255); save it without alpha")
        picture = picture.convert("L" if picture.mode == "LA" else "RGB")
    elif picture.mode == "P":
        picture = picture.convert("RGB")
    if picture.mode == "RGB":
        return grey_of_colour(np.asarray(picture), path)
    if picture.mode != "L":
        raise ImageError(f"{path} has the colours {picture.mode}; a film is grey")
    return _unit(np.asarray(picture), 255)


def _unit(values_HW: NDArray[Any], white: int) -> NDArray[np.float32]:
    return np.asarray(np.divide(values_HW, np.float32(white), dtype=np.float32))


def grey_of_colour(colour_HWC: NDArray[np.uint8], path: Path) -> NDArray[np.float32]:
    """H,W in [0, 1] of 8-bit RGB whose channels agree: red where they are equal, else their rounded mean.

    Raises:
        ImageError: they differ by more than 8 of 255 somewhere.
    """
    red, green, blue = (colour_HWC[..., place] for place in range(3))
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return _unit(red, 255)
    spread = int(np.max(colour_HWC.max(axis=2) - colour_HWC.min(axis=2)))
    if spread > _GREY_TOLERANCE:
        raise ImageError(f"{path} is coloured: its channels differ by up to {spread} of 255; a film is grey")
    mean_HW = np.rint(colour_HWC.mean(axis=2, dtype=np.float32))
    return _unit(mean_HW, 255)
