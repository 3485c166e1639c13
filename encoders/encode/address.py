"""Names of what is kept, made of what it is: a changed pixel, recipe or weight has another name, a moved file has not.

A film's address (its file's bytes and how they are read) leads to the hash of its pixels; that and everything that
makes features of pixels (this project's code and its libraries' versions among it) give the key of its vector, and with
the choice of maps the key of its maps. What only adds rounding noise is left out: device, batch size, `torch.compile`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from studies.images import Film

if TYPE_CHECKING:
    from encoders.encode.card import Card

# The code and the libraries that make features of pixels: a change of either is taken to change the features.
_FEATURES = (
    "encoders/backbones/*.py",
    "encoders/families/*.py",
    "encoders/preprocessing/*.py",
    "encoders/contract.py",
    "encoders/own_*.py",
)
_LIBRARIES = ("numpy", "pillow", "timm", "torch", "transformers")


def digest(told: Mapping[str, Any]) -> str:
    """sha256 of a JSON object, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def file_sha256(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_sha256(*patterns: str) -> str:
    """Of this project's files of such names, such as "studies/*.py": what they do may have changed when they have."""
    root = Path(__file__).parents[2]
    hasher = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in root.glob(pattern)):
        hasher.update(f"{path.relative_to(root)} ".encode() + path.read_bytes())
    return hasher.hexdigest()


def pixels_sha256(film: Film) -> str:
    """Of all in a film that can change an encoder's input: size, bits (they choose the intensity scale), pixels and
    what is masked; not of its file's format, name or tags."""
    hasher = hashlib.sha256(f"{film.pixels_HW.shape} {film.bits} {film.valid_HW is not None}".encode())
    hasher.update(np.ascontiguousarray(film.pixels_HW, dtype="<f4").data)
    if film.valid_HW is not None:
        hasher.update(np.ascontiguousarray(film.valid_HW).data)
    return hasher.hexdigest()


@dataclass(frozen=True)
class Keys:
    """Keys under one setting: setting is a hash of everything but the pixels that makes a vector; maps_setting that
    of maps, None where none are wanted."""

    setting: str
    maps_setting: str | None

    @classmethod
    def of(cls, card: Card, *, dtype: str, maps_dtype: str) -> Keys:
        libraries = {name: metadata.version(name) for name in _LIBRARIES}
        made_by = {"code": code_sha256(*_FEATURES), "libraries": libraries}
        setting = digest({"fingerprint": card.fingerprint, "dtype": dtype} | made_by)
        shown = {name: one.norm for name, one in card.maps.items()}
        return cls(setting, digest({"setting": setting, "maps": shown, "dtype": maps_dtype}) if shown else None)

    def vector(self, pixels: str) -> str:
        return _joined(pixels, self.setting)

    def maps(self, pixels: str) -> str | None:
        return None if self.maps_setting is None else _joined(pixels, self.maps_setting)


def _joined(pixels: str, setting: str) -> str:
    return hashlib.sha256(f"{pixels} {setting}".encode()).hexdigest()
