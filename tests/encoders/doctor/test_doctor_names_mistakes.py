"""Each mistake is made with Pillow, torch or bare numpy, apart from the package, and the doctor has to name it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from encoders.doctor import Diagnosis, Verdict, examine, render
from encoders.preprocessing.recipe import load_recipe

Levels = NDArray[np.uint8]
SIZE = 96
RAD_DINO = load_recipe("rad_dino").at(SIZE)  # crop, bicubic; 8-bit films as they are, deeper ones min-max
MEAN, STD = 0.5307, 0.2583


def made_film(rows: int = 320, columns: int = 250) -> NDArray[np.float64]:
    """A film in [0.05, 0.9]: dark lungs, bright middle, fine texture, a bright mark on one side; seeded."""
    y, x = np.mgrid[0:rows, 0:columns] / [[[rows]], [[columns]]]
    lungs = sum(np.exp(-(((x - at) / 0.13) ** 2) - ((y - 0.45) / 0.26) ** 2) for at in (0.27, 0.73))
    ribs = 0.05 * np.sin(50 * y + 8 * (x - 0.5) ** 2)
    noise = np.random.default_rng(3).normal(0, 0.03, (rows, columns))
    mark = 0.2 * np.exp(-(((x - 0.9) / 0.03) ** 2) - ((y - 0.1) / 0.03) ** 2)
    film = 0.75 - 0.5 * lungs - 0.5 * np.clip(np.abs(x - 0.5) - 0.42, 0, 1) * 8 + ribs + noise + mark
    return np.asarray(np.clip(film, 0.05, 0.9))


def write_8_bit(folder: Path) -> Path:
    path = folder / "film.png"
    Image.fromarray(np.round(made_film() * 255).astype(np.uint8)).save(path)
    return path


def write_16_bit(folder: Path, share: float = 1.0) -> Path:
    path = folder / "deep.png"
    Image.fromarray(np.round(made_film() * 65535 * share).astype(np.uint16)).save(path)
    return path


def stored(path: Path) -> NDArray[np.generic]:
    return np.asarray(Image.open(path))


def golden_levels(path: Path) -> Levels:
    """To 8 bits as RAD-DINO's publisher does: bytes as they are, deeper films min-max."""
    values = stored(path).astype(np.float64)
    if values.max() > 255:
        values = (values - values.min()) / (values.max() - values.min()) * 255
    return np.rint(values).astype(np.uint8)


def resized(levels: Levels, shorter: int | None = None, kernel: Image.Resampling = Image.Resampling.BICUBIC) -> Levels:
    """Shorter side to the size with Pillow, the middle kept."""
    shorter = shorter or SIZE
    rows, columns = levels.shape
    shape = (int(shorter * columns / min(levels.shape)), int(shorter * rows / min(levels.shape)))
    return middle(np.asarray(Image.fromarray(levels).resize(shape, kernel)))


def middle(levels: NDArray[np.generic], down: int = 0, right: int = 0) -> Levels:
    top, left = (levels.shape[0] - SIZE) // 2 + down, (levels.shape[1] - SIZE) // 2 + right
    return np.asarray(levels[top : top + SIZE, left : left + SIZE], dtype=np.uint8)


def fed(levels: NDArray[np.generic], mean: object = MEAN, std: object = STD) -> NDArray[np.float32]:
    mean_C11, std_C11 = (np.broadcast_to(np.asarray(v, float), (3,)).reshape(3, 1, 1) for v in (mean, std))
    return ((levels[None] / 255.0 - mean_C11) / std_C11).astype(np.float32)


def golden(path: Path) -> NDArray[np.float32]:
    return fed(resized(golden_levels(path)))


def jpeg(levels: Levels, quality: int) -> Levels:
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())))


def by_torch(levels: Levels, shape: tuple[int, int], mode: str) -> Levels:
    image = torch.from_numpy(levels.astype(np.float32))[None, None]
    made = torch.nn.functional.interpolate(image, shape, mode=mode, align_corners=False)[0, 0].numpy()
    return np.asarray(np.clip(np.rint(made), 0, 255), dtype=np.uint8)


def no_antialias(mode: str) -> Callable[[Levels], Levels]:
    return lambda levels: middle(by_torch(levels, (int(SIZE * levels.shape[0] / levels.shape[1]), SIZE), mode))


def percentiles(path: Path, low: float, high: float) -> Levels:
    values = stored(path).astype(np.float64)
    black, white = np.percentile(values, [low, high])
    return np.rint(np.clip((values - black) / (white - black), 0, 1) * 255).astype(np.uint8)


def padded(levels: Levels) -> Levels:
    side = max(levels.shape)
    image = Image.new("L", (side, side))
    image.paste(Image.fromarray(levels), ((side - levels.shape[1]) // 2, (side - levels.shape[0]) // 2))
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def floats_to_the_end(path: Path) -> NDArray[np.float32]:
    values = stored(path).astype(np.float64)
    rows, columns = values.shape
    image = Image.fromarray(values.astype(np.float32)).resize(
        (SIZE, int(SIZE * rows / columns)), Image.Resampling.BICUBIC
    )
    top = (image.height - SIZE) // 2
    return fed(np.asarray(image)[top : top + SIZE])


def shifted(down: int, right: int) -> Callable[[Path], NDArray[np.float32]]:
    """A crop from a picture with a margin all around, so that no edge is made up."""

    def make(path: Path) -> NDArray[np.float32]:
        levels = golden_levels(path)
        whole = np.asarray(
            Image.fromarray(levels).resize(
                (SIZE, int(SIZE * levels.shape[0] / levels.shape[1])), Image.Resampling.BICUBIC
            )
        )
        wide = np.pad(whole, 1, mode="reflect")
        return fed(middle(wide, -down, -right))

    return make


def naive_clahe(levels: Levels, clip: float = 2.0, tiles: int = 8) -> Levels:
    """Pixel by pixel, as OpenCV documents it: cut, spread evenly, the rest in equal steps from the darkest."""
    rows, columns = levels.shape
    padded_ = np.pad(levels, ((0, -rows % tiles), (0, -columns % tiles)), mode="reflect")
    high, wide = padded_.shape[0] // tiles, padded_.shape[1] // tiles
    limit = max(int(clip * high * wide / 256), 1)
    tables = {}
    for i in range(tiles):
        for j in range(tiles):
            counts = [0] * 256
            for value in padded_[i * high : (i + 1) * high, j * wide : (j + 1) * wide].ravel():
                counts[value] += 1
            each, rest = divmod(sum(max(count - limit, 0) for count in counts), 256)
            counts = [min(count, limit) + each for count in counts]
            for value in list(range(0, 256, max(256 // rest, 1)))[:rest] if rest else []:
                counts[value] += 1
            tables[i, j] = np.rint(np.cumsum(counts) * 255 / (high * wide))
    out = np.empty(levels.shape)
    for r in range(rows):
        for c in range(columns):
            y, x = (r / high) - 0.5, (c / wide) - 0.5
            i, j = int(np.floor(y)), int(np.floor(x))
            total = 0.0
            for di, wi in ((0, 1 - (y - i)), (1, y - i)):
                for dj, wj in ((0, 1 - (x - j)), (1, x - j)):
                    tile = (min(max(i + di, 0), tiles - 1), min(max(j + dj, 0), tiles - 1))
                    total += wi * wj * tables[tile][levels[r, c]]
            out[r, c] = total
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def of_levels(change: Callable[[Levels], Levels]) -> Callable[[Path], NDArray[np.float32]]:
    """A mistake before the resize."""
    return lambda path: fed(resized(change(golden_levels(path))))


def of_square(change: Callable[[Levels], NDArray[np.generic]]) -> Callable[[Path], NDArray[np.float32]]:
    """A mistake after the resize."""
    return lambda path: fed(change(resized(golden_levels(path))))


def of_resize(change: Callable[[Levels], Levels]) -> Callable[[Path], NDArray[np.float32]]:
    return lambda path: fed(change(golden_levels(path)))


def of_kernel(kernel: Image.Resampling) -> Callable[[Path], NDArray[np.float32]]:
    return of_resize(lambda levels: resized(levels, kernel=kernel))


def of_numbers(change: Callable[[NDArray[np.float64]], NDArray[np.floating]]) -> Callable[[Path], NDArray[np.float32]]:
    """A mistake instead of the normalisation, on levels of 0 to 255."""

    def make(path: Path) -> NDArray[np.float32]:
        levels = resized(golden_levels(path)).astype(np.float64)
        return np.ascontiguousarray(np.broadcast_to(change(levels), (3, SIZE, SIZE)), dtype=np.float32)

    return make


def with_stats(mean: object, std: object) -> Callable[[Path], NDArray[np.float32]]:
    return lambda path: fed(resized(golden_levels(path)), mean, std)


def in_dtype(dtype: torch.dtype) -> Callable[[Path], NDArray[np.float32]]:
    return lambda path: torch.from_numpy(golden(path)).to(dtype).float().numpy()


EIGHT_BIT: dict[str, Callable[[Path], NDArray[np.float32]]] = {
    "inverted": of_levels(lambda levels: 255 - levels),
    "scaled by min-max": lambda path: fed(resized(percentiles(path, 0, 100))),
    "scaled by 1st to 99th percentile": lambda path: fed(resized(percentiles(path, 1, 99))),
    "scaled by 0.5th to 99.5th percentile": lambda path: fed(resized(percentiles(path, 0.5, 99.5))),
    "histogram equalised": of_levels(lambda levels: np.asarray(ImageOps.equalize(Image.fromarray(levels)))),
    "CLAHE of clip 2": of_levels(naive_clahe),
    "CLAHE of clip 40": of_levels(lambda levels: naive_clahe(levels, 40.0)),
    "kept as floats": floats_to_the_end,
    "JPEG of quality 75 before the resize": of_levels(lambda levels: jpeg(levels, 75)),
    "JPEG of quality 95 before the resize": of_levels(lambda levels: jpeg(levels, 95)),
    "JPEG of quality 75 after the resize": of_square(lambda levels: jpeg(levels, 75)),
    "JPEG of quality 95 after the resize": of_square(lambda levels: jpeg(levels, 95)),
    "bilinear resize": of_kernel(Image.Resampling.BILINEAR),
    "lanczos resize": of_kernel(Image.Resampling.LANCZOS),
    "nearest resize": of_kernel(Image.Resampling.NEAREST),
    "area resize": of_kernel(Image.Resampling.BOX),
    "bicubic resize without antialias": of_resize(no_antialias("bicubic")),
    "bilinear resize without antialias": of_resize(no_antialias("bilinear")),
    "squashed": of_resize(
        lambda levels: np.asarray(Image.fromarray(levels).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    ),
    "padded": of_resize(padded),
    "cropped with a margin (256 for 224)": of_resize(lambda levels: resized(levels, round(SIZE * 256 / 224))),
    "left and right swapped": of_square(np.fliplr),
    "upside down": of_square(np.flipud),
    "rows and columns swapped": of_square(np.transpose),
    "turned a quarter against the clock": of_square(np.rot90),
    "turned a quarter with the clock": of_square(lambda levels: np.rot90(levels, 3)),
    "one pixel down": shifted(1, 0),
    "one pixel up": shifted(-1, 0),
    "one pixel to the right": shifted(0, 1),
    "one pixel to the left": shifted(0, -1),
    "not normalised, [0, 1]": of_numbers(lambda levels: levels / 255),
    "not normalised, 0 to 255": of_numbers(lambda levels: levels),
    "normalised twice": of_numbers(lambda levels: ((levels / 255 - MEAN) / STD - MEAN) / STD),
    "normalised by its own mean and std": of_numbers(lambda levels: (levels - levels.mean()) / levels.std()),
    "in the range -1024 to 1024": of_numbers(lambda levels: (2 * (levels / 255) - 1) * 1024),
    "normalised with ImageNet's mean and std": with_stats((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "normalised with OpenAI CLIP's mean and std": with_stats(
        (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    ),
    "normalised with 0.5 as mean and std": with_stats(0.5, 0.5),
    "bfloat16 pixels": in_dtype(torch.bfloat16),
    "float16 pixels": in_dtype(torch.float16),
}

SIXTEEN_BIT: dict[str, Callable[[Path], NDArray[np.float32]]] = {
    "scaled by full range": lambda path: fed(resized(np.rint(stored(path) / 257.0).astype(np.uint8))),
    "saturated at 255": lambda path: fed(resized(np.minimum(stored(path), 255).astype(np.uint8))),
    "shifted by 8 bits": lambda path: fed(resized((stored(path) >> 8).astype(np.uint8))),
    "cut to 8 bits": lambda path: fed(
        resized(((stored(path) - stored(path).min()) / np.ptp(stored(path).astype(float)) * 255).astype(np.uint8))
    ),
}


def named(diagnosis: Diagnosis) -> str:
    assert diagnosis.causes, "\n".join(render(diagnosis))
    return diagnosis.causes[0].name


@pytest.mark.parametrize("name", EIGHT_BIT)
def test_the_doctor_names_a_mistake_with_an_8_bit_film(name: str, tmp_path: Path) -> None:
    path = write_8_bit(tmp_path)
    diagnosis = examine(path, RAD_DINO, EIGHT_BIT[name](path))
    assert diagnosis.verdict in (Verdict.DRIFT, Verdict.CLOSE)
    assert named(diagnosis) == name, "\n".join(render(diagnosis))


@pytest.mark.parametrize("name", SIXTEEN_BIT)
def test_the_doctor_names_a_mistake_with_a_16_bit_film(name: str, tmp_path: Path) -> None:
    path = write_16_bit(tmp_path, share=0.02 if name == "saturated at 255" else 1.0)
    diagnosis = examine(path, RAD_DINO, SIXTEEN_BIT[name](path))
    assert named(diagnosis) == name, "\n".join(render(diagnosis))
