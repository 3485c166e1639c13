"""One process' share of a run: films in, features into the store, no pixels encoded twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch

from encoders.encode.address import Keys
from encoders.encode.films import Done, Failed, Read
from encoders.encode.forward import Forward, Outputs
from encoders.encode.store import FilmFacts
from encoders.encode.writer import PartWriter


class Share:
    """Encodes films as they come.

    Args:
        on_done: is told how many of the films are done.
    """

    def __init__(
        self,
        forward: Forward,
        writer: PartWriter,
        keys: Keys,
        *,
        batch_size: int,
        on_done: Callable[[int], None],
    ) -> None:
        self._forward = forward
        self._writer = writer
        self._keys = keys
        self._batch_size = batch_size
        self._on_done = on_done
        self._done = Done({}, [], 0)
        self._pending: dict[str, Read] = {}  # by pixels
        self._places: dict[str, list[int]] = {}  # that wait for these pixels' features
        self._in_flight: tuple[list[Read], Outputs] | None = None
        self._encoded = 0

    def run(self, films: Iterable[list[Read | Failed]]) -> Done:
        """Encode all of them. Interrupted, it first writes what is complete.

        Raises:
            OSError: the disk is full.
        """
        try:
            for some in films:
                for one in some:
                    self._take(one)
                while len(self._pending) >= self._batch_size:
                    self._encode()
                self._tell()
                self._writer.save_if_due()
            while self._pending:
                self._encode()
            self._fetch()
            self._tell()
        except KeyboardInterrupt:
            self._writer.save()
            raise
        self._writer.save()
        return self._done._replace(encoded=self._encoded)

    def _take(self, one: Read | Failed) -> None:
        if isinstance(one, Failed):
            self._done.failed.append(one)
            return
        self._done.addresses[one.place] = one.address
        self._writer.add_film(one.address, FilmFacts(one.pixels_sha256, one.view, one.view_source))
        if one.pixels_sha256 in self._places:
            self._places[one.pixels_sha256].append(one.place)
        elif not self._writer.holds(self._keys.vector(one.pixels_sha256), self._keys.maps(one.pixels_sha256)):
            self._pending[one.pixels_sha256] = one
            self._places[one.pixels_sha256] = [one.place]

    def _encode(self) -> None:
        """Start the next batch, then fetch the one before: a GPU computes while this process stores."""
        batch = [self._pending.pop(pixels) for pixels in list(self._pending)[: self._batch_size]]
        outputs = self._forward([one.levels_HW for one in batch])
        self._fetch()
        self._in_flight = batch, outputs
        self._encoded += len(batch)

    def _fetch(self) -> None:
        if self._in_flight is None:
            return
        batch, outputs = self._in_flight
        self._in_flight = None
        global_BD, maps = outputs.on_cpu()
        vectors_BD = global_BD.numpy()
        for place, one in enumerate(batch):
            ours = {name: maps_BCHW[place] for name, maps_BCHW in maps.items()}
            wrong = [name for name, map_CHW in ours.items() if not torch.isfinite(map_CHW).all()]
            if not np.isfinite(vectors_BD[place]).all():
                self._fail(one.pixels_sha256, "its vector is not finite; try --dtype bfloat16 or float32")
            elif wrong:
                self._fail(one.pixels_sha256, f"its {wrong[0]} map is not finite; try another --maps-dtype or --dtype")
            else:
                key, maps_key = self._keys.vector(one.pixels_sha256), self._keys.maps(one.pixels_sha256)
                self._writer.add(key, vectors_BD[place], maps_key, ours)
                del self._places[one.pixels_sha256]
        self._writer.save_if_due()

    def _fail(self, pixels: str, message: str) -> None:
        for place in self._places.pop(pixels):
            del self._done.addresses[place]
            self._done.failed.append(Failed(place, "NotFinite", message))

    def _tell(self) -> None:
        waiting = sum(map(len, self._places.values()))
        self._on_done(len(self._done.addresses) + len(self._done.failed) - waiting)
