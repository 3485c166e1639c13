"""A small encoder in place of the published ones, and `encode-images` with it: in this process, or as a module.

`python -m tests.encoders.encode.fake ARGUMENTS`: FAKE_LOG names a file that gets a line a batch (how many films),
FAKE_DELAY_S makes each batch take that long.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import ClassVar
from unittest import mock

import torch
from safetensors.torch import load_file
from torch import nn

import encoders.registry
from encoders.cli import encode_images_main
from encoders.contract import Encoder, FeatureMap, Features, Norm, Pooling, map_to_tokens
from encoders.fingerprint import Kind, Origin, set_origin
from encoders.preprocessing.recipe import load_recipe
from encoders.spec import EncoderSpec, Licence, Source

WIDTHS = (4, 6)


class Fake(Encoder):
    """Two convolutions of stride 4 and 2; mean pooling; a final norm that fits the last layer."""

    batches: ClassVar[list[int]] = []  # how many films each forward pass in this process had

    def __init__(self, image_size_px: int) -> None:
        super().__init__()
        self.spec = EncoderSpec(
            name="fake",
            title="Fake",
            source=Source("https://example.org", "model.safetensors"),
            licence=Licence("MIT", "https://example.org"),
            image_size_px=32,
            build=lambda _spec, _size, image_size_px: Fake(image_size_px),
            layouts=(),
        )
        side = image_size_px // 8
        self.image_size_px = image_size_px
        self.global_width = self.token_width = WIDTHS[1]
        self.pooling = Pooling.MEAN
        self.token_grid = (side, side)
        self.num_layers = 2
        self.default_stride_px = 8
        self.grids = {4: (2 * side, 2 * side), 8: (side, side)}
        self.widths = {4: WIDTHS[0], 8: WIDTHS[1]}
        self.fine = nn.Conv2d(3, WIDTHS[0], 4, 4)
        self.coarse = nn.Conv2d(WIDTHS[0], WIDTHS[1], 2, 2)
        self.norm = nn.LayerNorm(WIDTHS[1])

    def _encode(self, pixels_BCHW, layers):
        if pixels_BCHW.device.type != "meta" and not torch.compiler.is_compiling():
            _note(len(pixels_BCHW))
        fine_BCHW = self.fine(pixels_BCHW)
        coarse_BCHW = self.coarse(fine_BCHW.relu())
        maps = [FeatureMap(fine_BCHW, 0, 4, Norm.NONE), FeatureMap(coarse_BCHW, 1, 8, Norm.NONE)]
        return Features(
            global_BD=coarse_BCHW.mean((2, 3)),
            pooling=self.pooling,
            tokens_BND=map_to_tokens(coarse_BCHW),
            tokens_norm=Norm.NONE,
            default_stride_px=8,
            maps={one.stride_px: one for one in maps},
            kept={place: maps[place] for place in layers},
            num_layers=2,
            final_norm=self._last_norm,
        )

    def _last_norm(self, map_BHWC):
        if map_BHWC.shape[-1] != WIDTHS[1]:
            raise ValueError(f"the last norm is of width {WIDTHS[1]}; this map cannot be normed by it")
        return self.norm(map_BHWC)


def _note(films: int) -> None:
    Fake.batches.append(films)
    if log := os.environ.get("FAKE_LOG"):
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{films}\n")
    time.sleep(float(os.environ.get("FAKE_DELAY_S", "0")))


def load_fake(name, *, weights, image_size_px=None, preprocessing=None, accept_licence=False, revision=None):
    """In place of `load_encoder`: "twin" is seeded, else a safetensors file of the state dict."""
    load_fake.given = {"name": name, "accept_licence": accept_licence, "revision": revision}
    encoder = Fake(image_size_px or 32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in encoder.parameters():
            nn.init.normal_(parameter)
    if weights != "twin":
        encoder.load_state_dict(load_file(weights))
    encoder.recipe = load_recipe(preprocessing or "rad_dino").at(encoder.image_size_px)
    set_origin(encoder, Origin(Kind.TWIN if weights == "twin" else Kind.PUBLISHED, str(weights)))
    return encoder.eval()


def main() -> None:
    with mock.patch.object(encoders.registry, "load_encoder", load_fake):
        encode_images_main()


if __name__ == "__main__":
    sys.argv[0] = "encode-images"
    main()
