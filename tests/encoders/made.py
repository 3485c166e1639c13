"""A made encoder of a few hundred weights that the registry takes for a published one.

Shape letters: B batch, C channels, H rows, W columns, N patch tokens, D width.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional

import encoders.registry
from encoders.contract import Encoder, FeatureMap, Features, Norm, Pooling, State, tokens_to_map
from encoders.key_map import KeyMap
from encoders.spec import EncoderSpec, Layout, Licence, Size, Source

SIZE_PX, PATCH_PX = 16, 4
RECIPE = "segformer"  # any shipped one


class MadeEncoder(Encoder):
    """One convolution, position embeddings, one LayerNorm, a counter, and a buffer that no checkpoint holds."""

    def __init__(self, spec: EncoderSpec, size: Size, image_size_px: int) -> None:
        super().__init__()
        rows, width = image_size_px // PATCH_PX, 8 if size == "full" else 4
        self.spec, self.image_size_px, self.pooling = spec, image_size_px, Pooling.MEAN
        self.global_width = self.token_width = width
        self.token_grid, self.num_layers, self.default_stride_px = (rows, rows), 1, PATCH_PX
        self.grids, self.widths = {PATCH_PX: (rows, rows)}, {PATCH_PX: width}
        self.proj = nn.Conv2d(3, width, PATCH_PX, PATCH_PX)
        self.pos = nn.Parameter(torch.randn(1, rows**2, width))
        self.norm = nn.LayerNorm(width)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.register_buffer("ramp", torch.linspace(0, 1, width), persistent=False)

    def adapt_state(self, state: State) -> State:
        stored = state["pos"]
        side = round(stored.shape[1] ** 0.5)
        moved = functional.interpolate(tokens_to_map(stored, (side, side)), size=self.token_grid, mode="nearest")
        return {**state, "pos": moved.flatten(2).transpose(1, 2)}

    def _encode(self, pixels_BCHW: Tensor, layers: tuple[int, ...]) -> Features:
        raw_BND = self.proj(pixels_BCHW).flatten(2).transpose(1, 2) + self.pos + self.ramp
        tokens_BND = self.norm(raw_BND)
        shown = FeatureMap(tokens_to_map(tokens_BND, self.token_grid), 0, PATCH_PX, Norm.FINAL)
        kept = FeatureMap(tokens_to_map(raw_BND, self.token_grid), 0, PATCH_PX, Norm.NONE)
        return Features(
            global_BD=tokens_BND.mean(1),
            pooling=self.pooling,
            tokens_BND=tokens_BND,
            tokens_norm=Norm.FINAL,
            default_stride_px=PATCH_PX,
            maps={PATCH_PX: shown},
            kept=dict.fromkeys(layers, kept),
            num_layers=1,
            final_norm=self.norm,
        )


def _is_lab(keys: Collection[str]) -> bool:
    return "vision.proj.weight" in keys


def _is_hub(keys: Collection[str]) -> bool:
    return "patch.weight" in keys


LAB = Layout("the lab's", _is_lab, KeyMap(rename=((r"vision\.(.+)", r"\1"),), drop=(r"text\..+",)).translate)
HUB = Layout(
    "the hub's",
    _is_hub,
    KeyMap(rename=((r"patch\.(weight|bias)", r"proj.\1"), (r"(pos|norm\.weight|norm\.bias|seen)", r"\1"))).translate,
)
SPEC = EncoderSpec(
    name="made",
    title="Made encoder",
    source=Source(url="https://lab.example/made", file="made.safetensors", hub_id="lab/made"),
    licence=Licence("MIT", "https://lab.example/licence"),
    image_size_px=SIZE_PX,
    build=MadeEncoder,
    layouts=(LAB, HUB),
)


def lab_state(seed: int = 0) -> State:
    """A checkpoint in the lab's layout, text half included."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "vision.proj.weight": torch.randn(8, 3, PATCH_PX, PATCH_PX, generator=generator),
        "vision.proj.bias": torch.randn(8, generator=generator),
        "vision.pos": torch.randn(1, 16, 8, generator=generator),
        "vision.norm.weight": torch.randn(8, generator=generator),
        "vision.norm.bias": torch.randn(8, generator=generator),
        "vision.seen": torch.tensor(7),
        "text.weight": torch.randn(3, generator=generator),
    }


def hub_state(seed: int = 0) -> State:
    """The same weights in the hub's layout."""
    names = {"vision.proj.weight": "patch.weight", "vision.proj.bias": "patch.bias"}
    return {
        names.get(key, key.removeprefix("vision.")): tensor
        for key, tensor in lab_state(seed).items()
        if not key.startswith("text.")
    }


@contextmanager
def registered(**changes: object) -> Iterator[None]:
    """Let the registry know the made encoder, its spec changed as said."""
    module = ModuleType("encoders.families.made")
    module.__dict__["SPEC"] = replace(SPEC, **changes)  # type: ignore[arg-type]
    names = (*encoders.registry.NAMES, "made")
    with (
        mock.patch.dict(sys.modules, {"encoders.families.made": module}),
        mock.patch.object(encoders.registry, "NAMES", names),
    ):
        yield
