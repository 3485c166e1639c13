"""The publishers' own preprocessing, on transformers, open_clip, torchvision and PIL alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.torchvision_shim import import_torchvision

Reference = Callable[[NDArray[np.int64], int], NDArray[np.float32]]  # grey levels H,W and their bits -> C,H,W
HALF = (0.5, 0.5, 0.5)
IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
RAD_DINO = {"image_mean": (0.5307,) * 3, "image_std": (0.2583,) * 3}
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def references() -> dict[str, Reference]:
    """Recipe name -> what the publisher's code makes of the same film."""
    if find_spec("torchvision") is not None:  # transformers imports it as well
        import_torchvision()
    return {
        "ark_plus": lambda grey, bits: _ark(picture(grey, bits)),
        "biomedclip": lambda grey, bits: _open_clip(picture(grey, bits)),
        "chexagent": lambda grey, bits: _siglip(picture(grey, bits), size=512, resample=3),
        "dinov2": lambda grey, bits: bit_processor(picture(grey, bits), shorter=256, crop=224, **IMAGENET),
        "medimageinsight": lambda grey, bits: _medimageinsight(_to_8_bits_by_percentile(grey, bits)),
        "medsiglip": _medsiglip_served,
        "medsiglip:eval": lambda grey, bits: _medsiglip_evaluated(picture(grey, bits, down=True)),
        "medsiglip:squash": lambda grey, bits: _siglip(picture(grey, bits), size=448, resample=2),
        "rad_dino": lambda grey, bits: bit_processor(picture(grey, bits), shorter=518, crop=518, **RAD_DINO),
        "segformer": lambda grey, bits: _segformer(picture(grey, bits)),
        "siglip2": lambda grey, bits: _siglip(picture(grey, bits), size=512, resample=2),
    }


def picture(grey_HW: NDArray[np.int64], bits: int, *, down: bool = False) -> Image.Image:
    """8 bits as they are; more min-max, in whole numbers: the quotient and its remainder decide the rounding."""
    if bits > 8:
        span = int(np.ptp(grey_HW))
        quotient, rest = np.divmod((grey_HW - grey_HW.min()) * 255, span)
        half_to_even = (2 * rest > span) | ((2 * rest == span) & (quotient % 2 == 1))
        grey_HW = quotient + (0 if down else half_to_even)
    return Image.fromarray(grey_HW.astype(np.uint8)).convert("RGB")


def _ark(picture: Image.Image) -> NDArray[np.float32]:
    scaled = np.array(picture.resize((768, 768))) / 255
    mean, std = np.array(IMAGENET["image_mean"]), np.array(IMAGENET["image_std"])
    return ((scaled - mean) / std).transpose(2, 0, 1).astype(np.float32)


def _open_clip(picture: Image.Image) -> NDArray[np.float32]:
    import open_clip

    transform = open_clip.image_transform(
        224, is_train=False, mean=CLIP_MEAN, std=CLIP_STD, resize_mode="shortest", interpolation="bicubic"
    )
    return np.asarray(transform(picture))


def _medimageinsight(picture: Image.Image) -> NDArray[np.float32]:
    from torchvision.transforms import Compose, InterpolationMode, Normalize, Resize, ToTensor

    resize = Resize((480, 480), interpolation=InterpolationMode.BICUBIC)
    normalize = Normalize(IMAGENET["image_mean"], IMAGENET["image_std"])
    return np.asarray(Compose([resize, ToTensor(), normalize])(picture))


def _to_8_bits_by_percentile(grey_HW: NDArray[np.int64], bits: int) -> Image.Image:
    if bits == 8:
        return picture(grey_HW, bits)
    low, high = np.percentile(grey_HW, (1, 99))
    scaled = (np.clip(grey_HW, low, high) - low) / (high - low) * 255.0
    return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")


def _run(processor: Any, image: Any, **options: Any) -> NDArray[np.float32]:
    return np.asarray(processor(image, return_tensors="np", **options)["pixel_values"][0])


def bit_processor(picture: Image.Image, *, shorter: int, crop: int, **statistics: Any) -> NDArray[np.float32]:
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

    size = {"size": {"shortest_edge": shorter}, "crop_size": {"height": crop, "width": crop}}
    return _run(BitImageProcessorPil(**size, **statistics, resample=3), picture)


def _siglip(image: Any, *, size: int, resample: int, **options: Any) -> NDArray[np.float32]:
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    sizes = {"height": size, "width": size}
    given = {"input_data_format": "channels_last"} if isinstance(image, np.ndarray) else {}
    processor = SiglipImageProcessorPil(size=sizes, resample=resample, image_mean=HALF, image_std=HALF, **options)
    return _run(processor, image, **given)


def _segformer(picture: Image.Image) -> NDArray[np.float32]:
    from transformers.models.segformer.image_processing_pil_segformer import SegformerImageProcessorPil

    processor = SegformerImageProcessorPil(size={"height": 512, "width": 512}, resample=2, **IMAGENET)
    return _run(processor, picture)


def _medsiglip_served(grey_HW: NDArray[np.int64], bits: int) -> NDArray[np.float32]:
    """Padding before the 8 bits: the serving code hands floats of [0, 1] to the processor, which truncates them."""
    levels, highest = grey_HW, 255
    if bits > 8:
        levels, highest = np.interp(grey_HW, (grey_HW.min(), grey_HW.max()), (0, 65535)).astype(np.uint16), 65535
    values_HW = levels.astype(np.float32) / float(highest)
    side = max(values_HW.shape)
    margins = [((side - length) // 2, side - length - (side - length) // 2) for length in values_HW.shape]
    square_HWC = np.pad(values_HW, margins)[:, :, None].repeat(3, axis=2)
    return _siglip(square_HWC, size=448, resample=3, do_rescale=False)


def _medsiglip_evaluated(picture: Image.Image) -> NDArray[np.float32]:
    """`tf.image.resize` without antialias samples as torch's interpolate does (compared to TensorFlow 2.21)."""
    import torch

    levels_CHW = torch.from_numpy(np.array(picture).transpose(2, 0, 1).astype(np.float64))
    resized = torch.nn.functional.interpolate(levels_CHW[None], (448, 448), mode="bilinear", antialias=False)[0]
    whole_HWC = resized.numpy().transpose(1, 2, 0).astype(np.float32).astype(np.uint8)
    return _siglip(Image.fromarray(whole_HWC), size=448, resample=2)
