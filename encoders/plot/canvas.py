"""What the pictures share: paper, ink, fonts, text that fits its place, and the colours of a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont
    from PIL.Image import Image

PAPER, INK, QUIET, RED = (255, 255, 255), (24, 33, 43), (85, 97, 110), (214, 39, 40)

# Ten evenly spaced colours of viridis (S. van der Walt and N. Smith, matplotlib, CC0): even in lightness, and told
# apart by readers with any of the common colour vision deficiencies.
VIRIDIS = ("440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725")


def viridis(share: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colours of values in [0, 1] (clipped): ... -> ...,3 bytes of R, G, B, straight lines between the ten stops."""
    stops_10_3 = np.array([list(bytes.fromhex(stop)) for stop in VIRIDIS], dtype=float)
    place = np.clip(share, 0, 1) * (len(stops_10_3) - 1)
    channels = [np.interp(place, np.arange(len(stops_10_3)), stops_10_3[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size_px)


def sheet(width_px: int, height_px: int) -> tuple[Image, ImageDraw.ImageDraw]:
    """An empty page and its pen."""
    from PIL import Image, ImageDraw

    page = Image.new("RGB", (width_px, height_px), PAPER)
    return page, ImageDraw.Draw(page)


def write(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    *,
    size_px: int,
    room_px: int,
    ink: tuple[int, int, int] = INK,
) -> None:
    """One line of text from its top left, its middle replaced by three dots where it is wider than its room."""
    letters = font(size_px)
    shown, keep = text, len(text)
    while keep > 1 and pen.textlength(shown, font=letters) > room_px:
        keep -= 1
        shown = text[: (keep + 1) // 2] + "..." + text[len(text) - keep // 2 :]
    pen.text(at, shown, fill=ink, font=letters)
