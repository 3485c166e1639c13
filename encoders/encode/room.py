"""How much a run will write, said before it starts, and whether the disk has room for it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from encoders.config import ConfigError, EncodeSettings
from encoders.console import size
from encoders.encode.card import Card

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Room:
    """rows: of the table; films: of different paths; todo: films that are not known to be done."""

    card: Card
    settings: EncodeSettings
    rows: int
    films: int
    todo: int

    @property
    def vector(self) -> int:
        """Bytes of one vector, float32."""
        return 4 * self.card.global_width

    @property
    def maps(self) -> int:
        """Bytes of one film's maps."""
        return _BYTES[self.settings.maps_dtype] * sum(math.prod(one.shape) for one in self.card.maps.values())

    @property
    def need(self) -> int:
        """Bytes at most: the table is put together of pieces as large as itself, from vectors that stay."""
        return self.todo * (self.vector + self.maps) + 2 * self.rows * self.vector

    @property
    def free(self) -> int:
        return shutil.disk_usage(self.settings.output).free

    def lines(self) -> Iterator[str]:
        """What a user should know before it starts."""
        card, settings = self.card, self.settings
        done = self.films - self.todo
        yield f"{self.films:,} films of {self.rows:,} rows; {done:,} done before, {self.todo:,} to encode"
        yield (
            f"{card.encoder} at {card.image_size_px} px, {settings.dtype}; {card.pooling} vectors of "
            f"{card.global_width}: {self.rows:,} x {size(self.vector)} = {size(self.rows * self.vector)}"
        )
        for name, one in card.maps.items():
            shape = " x ".join(map(str, one.shape))
            yield f"map {name}: {shape} {settings.maps_dtype}, norm {one.norm}"
        if card.maps:
            yield f"maps: {self.todo:,} x {size(self.maps)} = {size(self.todo * self.maps)} to write"
        yield f"in all at most {size(self.need)} of the disk's {size(self.free)} that are free"

    def check(self) -> None:
        """
        Raises:
            ConfigError: it does not fit.
        """
        if self.need > self.free:
            raise ConfigError(
                f"{self.settings.output} needs {size(self.need)} and its disk has {size(self.free)} free; nothing was "
                "encoded. Choose another -o, fewer or coarser maps, or a smaller --maps-dtype"
            )
