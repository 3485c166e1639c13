"""What a run leaves for its readers: the lines of the table, the failures and the record of how it was made."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from encoders.config import EncodeSettings
from encoders.encode.address import Keys
from encoders.encode.card import Card
from encoders.encode.inputs import Row
from encoders.encode.store import Store, whole_file
from encoders.encode.table import Line

_LIBRARIES = ("carina-cxr", "torch", "timm", "transformers", "numpy", "pillow", "pydicom")


def table_lines(
    rows: Sequence[Row], addresses: Mapping[str, str], store: Store, keys: Keys, card: Card
) -> Iterator[Line]:
    """A line for each row whose film has features.

    Args:
        addresses: of those films, by path.
    """
    for row in rows:
        if row.path not in addresses:
            continue
        facts = store.films[addresses[row.path]]
        view, source = (facts.view, facts.view_source) if row.view is None else (row.view, "table")
        map_key = keys.maps(facts.pixels_sha256)
        shard = None if map_key is None else store.shard(store.maps[map_key]).relative_to(store.output).as_posix()
        yield Line(
            row.image,
            row.study_id,
            row.patient_id,
            view,
            source,
            facts.pixels_sha256,
            keys.vector(facts.pixels_sha256),
            card.encoder,
            card.pooling,
            shard,
            map_key,
        )


def write_failures(path: Path, failures: Sequence[tuple[str, str, str]]) -> None:
    """A JSON line of image, error and message each; an empty file where all went well."""
    with whole_file(path) as part, part.open("w", encoding="utf-8") as file:
        for image, error, message in failures:
            told = message.encode("utf-8", "backslashreplace").decode()  # paths may hold any bytes, JSON may not
            file.write(json.dumps({"image": image, "error": error, "message": told}) + "\n")


def write_record(
    path: Path,
    settings: EncodeSettings,
    card: Card,
    *,
    counts: Mapping[str, int],
    elapsed_s: float,
    device: str | None,
    processes: int,
) -> None:
    """`run.json`; device: None where nothing was computed."""
    record = {
        "config": settings.model_dump(mode="json", exclude_none=True),
        "encoder": card.model_dump(mode="json"),
        "preprocessing_sha256": card.recipe.sha256,
        "counts": dict(counts),
        "seconds": round(elapsed_s, 3),
        "device": device,
        "processes": processes,
        "versions": {name: metadata.version(name) for name in _LIBRARIES} | {"python": platform.python_version()},
    }
    with whole_file(path) as part:
        part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
