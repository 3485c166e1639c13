"""Collects what one process has encoded into parts of the store, so that a kill loses half a minute at most."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from encoders.encode.card import Card
from encoders.encode.store import FilmFacts, Store

if TYPE_CHECKING:
    from torch import Tensor

_PART_VECTORS = 8192
_SHARD_BYTES = 256 << 20


class PartWriter:
    """Parts numbered by `numbers`; they must be this process' own.

    Args:
        save_every_s: a part is written when this long has passed, or when it is large.
    """

    def __init__(self, store: Store, card: Card, numbers: Iterator[int], *, save_every_s: float) -> None:
        self._store = store
        self._card = card
        self._numbers = numbers
        self._save_every_s = save_every_s
        self._clear()

    def add_film(self, address: str, facts: FilmFacts) -> None:
        if address not in self._store.films:
            self._films[address] = facts

    def holds(self, key: str, maps_key: str | None) -> bool:
        """Whether nothing of this need be encoded: it is in the store, or on its way there."""
        has_maps = maps_key is None or maps_key in self._maps_keys
        return (key in self._vectors and has_maps) or self._store.holds(key, maps_key)

    def add(self, key: str, vector_D: NDArray[np.float32], maps_key: str | None, maps: dict[str, Tensor]) -> None:
        """A film's features; maps by name, C,H,W."""
        self._vectors[key] = vector_D
        if maps_key is not None:
            self._maps_keys.add(maps_key)
            self._maps |= {f"{maps_key}/{name}": one.clone() for name, one in maps.items()}  # not all of its batch
            self._bytes += sum(one.nbytes for one in maps.values())

    def save_if_due(self) -> None:
        late = time.monotonic() - self._begun > self._save_every_s
        if late or self._bytes >= _SHARD_BYTES or len(self._vectors) >= _PART_VECTORS:
            self.save()

    def save(self) -> None:
        """Write what has been collected, if anything.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        if self._films or self._vectors or self._maps:
            write_shard = self._write_shard if self._maps else None
            self._store.write_part(
                next(self._numbers), self._films, self._vectors, sorted(self._maps_keys), write_shard
            )
        self._clear()

    def _clear(self) -> None:
        self._films: dict[str, FilmFacts] = {}
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._maps_keys: set[str] = set()
        self._maps: dict[str, Tensor] = {}
        self._bytes = 0
        self._begun = time.monotonic()

    def _write_shard(self, path: Path) -> None:
        from safetensors.torch import save_file

        card = self._card
        metadata = {
            "encoder": card.encoder,
            "image_size_px": str(card.image_size_px),
            "fingerprint": card.fingerprint,
            "weights_sha256": card.weights_sha256,
            "preprocessing_sha256": card.recipe.sha256,
            "maps": json.dumps({name: one.model_dump() for name, one in card.maps.items()}),
        }
        save_file(self._maps, path, metadata=metadata)
