"""What a run must know of its encoder before it starts; remembered, so that a run with nothing to do builds none."""

from __future__ import annotations

import copy
import os
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from encoders.config import EncodeSettings
from encoders.encode.address import code_sha256, digest, file_sha256
from encoders.encode.maps import MapChoice
from encoders.encode.store import whole_file
from encoders.licences import ENVIRONMENT
from encoders.preprocessing.recipe import Recipe

if TYPE_CHECKING:
    from encoders.contract import Encoder


class MapFacts(BaseModel):
    """shape: C,H,W."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: int
    stride_px: int
    norm: str
    shape: tuple[int, int, int]


class Card(BaseModel):
    """fingerprint: the key of `encoders.fingerprint`, of all but dtype and pixels that makes features; origin: of the
    weights; note: what users must be told, such as that the weights are random; maps: by name, those the run keeps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str
    image_size_px: int
    fingerprint: str
    weights_sha256: str
    origin: dict[str, str | None]
    note: str | None
    recipe: Recipe
    pooling: str
    global_width: int
    maps: dict[str, MapFacts]


def describe(encoder: Encoder, choice: MapChoice) -> Card:
    """The card of an encoder; shapes come of a pass without arithmetic.

    Raises:
        ValueError: it has no such layer or stride.
    """
    import torch

    from encoders.fingerprint import fingerprint

    shapes_only = {id(one): one.to("meta") for one in [*encoder.parameters(), *encoder.buffers()]}
    size = encoder.image_size_px
    with torch.inference_mode():
        copied = copy.deepcopy(encoder, shapes_only)  # a copy that holds no numbers
        maps = choice.pick(copied.encode(torch.empty(1, 3, size, size, device="meta"), layers=choice.layers))
    facts = {
        name: MapFacts(
            layer=one.layer, stride_px=one.stride_px, norm=one.norm.value, shape=tuple(one.map_BCHW.shape[1:])
        )
        for name, one in maps.items()
    }
    told = fingerprint(encoder, probe=False)
    return Card(
        encoder=told.encoder,
        image_size_px=told.image_size_px,
        fingerprint=told.key,
        weights_sha256=told.weights_sha256,
        origin=asdict(told.origin),
        note=told.note,
        recipe=encoder.recipe,
        pooling=told.pooling,
        global_width=encoder.global_width,
        maps=facts,
    )


def request_sha256(settings: EncodeSettings) -> str | None:
    """A hash of all that decides a card: what was asked, the bytes of the files it names, this code and its
    libraries. None where that cannot be told from here (a folder; a model of the user's own)."""
    path = Path(settings.weights)
    if path.is_file() and path.suffix != ".json":  # an index of shards says nothing of their bytes
        weights = file_sha256(path)
    elif not path.exists():  # random weights; a commit on the hub ("hub": this code and the revision say which)
        weights = settings.weights
    else:
        return None
    if settings.encoder.endswith(".toml"):
        return None
    recipe = settings.preprocessing
    if recipe is not None and Path(recipe).is_file():
        recipe = file_sha256(recipe)
    asked = settings.model_dump(
        mode="json", include={"encoder", "revision", "image_size_px", "accept_licence", "maps", "layers", "norm"}
    )
    versions = {name: metadata.version(name) for name in ("torch", "timm", "transformers")}
    agreed, code = os.environ.get(ENVIRONMENT), code_sha256("encoders/**/*.py", "encoders/**/*.toml")
    return digest(asked | versions | {"weights": weights, "recipe": recipe, "agreed": agreed, "code": code})


def recall(folder: Path, request: str | None) -> Card | None:
    """The card of an earlier run that asked the same."""
    path = folder / "cards" / f"{request}.json"
    try:
        return Card.model_validate_json(path.read_bytes()) if request is not None and path.is_file() else None
    except ValidationError:
        return None  # damaged: it is made again


def remember(folder: Path, request: str | None, card: Card) -> None:
    if request is not None:
        with whole_file(folder / "cards" / f"{request}.json") as path:
            path.write_text(card.model_dump_json(), encoding="utf-8")
