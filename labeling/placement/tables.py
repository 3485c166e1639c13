"""Loads and checks the placement tables: one TOML file a device, each row with its source."""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from labeling.vocabulary import DEVICES, Direction, Landmark, LineTubeType, PlacementBand, StatedPosition


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[str, Field(min_length=1)]  # no number without where it comes from
    subtypes: tuple[str, ...] = ()  # empty: every subtype


class Outside(_Row):
    """Tips outside the space the device belongs in: incorrect whatever else is said."""

    tips: tuple[str, ...]


class Wording(_Row):
    """A stated malposition that means less at these tips."""

    stated: tuple[StatedPosition, ...]
    tips: tuple[str, ...]
    band: PlacementBand


class Place(_Row):
    tips: tuple[str, ...]
    band: PlacementBand


class Distance(_Row):
    """Tip distances in cm, below `under_cm` (exclusive) or up to `up_to_cm` (inclusive); rows are tried in order."""

    landmark: Landmark
    direction: Direction
    under_cm: float | None = None
    up_to_cm: float | None = None
    band: PlacementBand

    def holds(self, distance_cm: float) -> bool:
        if self.under_cm is not None:
            return distance_cm < self.under_cm
        return self.up_to_cm is None or distance_cm <= self.up_to_cm


class PlacementTable(BaseModel):
    """One device's table. `borderline` is what the borderline band means outside: unclear, or correct."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    device: LineTubeType
    borderline: Literal["unclear", "correct", "incorrect"]
    default_direction: dict[Landmark, Direction] = {}
    outside: tuple[Outside, ...] = ()
    wording: tuple[Wording, ...] = ()
    place: tuple[Place, ...] = ()
    distance: tuple[Distance, ...] = ()

    @model_validator(mode="after")
    def _known_words(self) -> Self:
        device = DEVICES[self.device]
        by_tip: list[Outside | Wording | Place] = [*self.outside, *self.wording, *self.place]
        _check_words("tip", [tip for row in by_tip for tip in row.tips], device.tips)
        _check_words("subtype", [s for row in (*by_tip, *self.distance) for s in row.subtypes], device.subtypes)
        return self


def _check_words(field: str, words: list[str], allowed: tuple[str, ...]) -> None:
    for word in words:
        if word not in allowed:
            raise ValueError(f"{field} {word!r} is not one of {', '.join(allowed)}")


class PlacementTables(NamedTuple):
    """The ten tables, and a hash of their files that every row carries."""

    by_device: dict[LineTubeType, PlacementTable]
    sha256: str


@cache
def load_tables(folder: Path | None = None) -> PlacementTables:
    """Read the ten tables, from a folder of the user's or the ones that are shipped.

    Raises:
        ValueError: a table is missing or breaks the format; the message names the file and the field.
    """
    source = resources.files("labeling.placement") if folder is None else folder
    digest = hashlib.sha256()
    tables: dict[LineTubeType, PlacementTable] = {}
    for device in LineTubeType:
        file = source / f"{device}.toml"
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ValueError(f"placement table {file}: {error.strerror or error}; ten tables are needed") from None
        try:
            table = PlacementTable.model_validate(tomllib.loads(content.decode("utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"placement table {file}: {error}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"placement table {file}: {where}: {first['msg']}, got {first['input']!r}") from None
        if table.device is not device:
            raise ValueError(f"placement table {file}: device is {table.device}, not {device}")
        digest.update(content)
        tables[device] = table
    return PlacementTables(tables, digest.hexdigest())
