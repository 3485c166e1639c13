"""`vectors.parquet`: a row a film, its vector beside its names and hashes; a few thousand rows in memory at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.encode.store import Store, whole_file

_CHUNK_ROWS = 4096
_GROUP_ROWS = 8192  # 38 MB of vectors of 1,152: what a reader holds at once


class Line(NamedTuple):
    """A row of the table, but for its vector, which stands under `key` in the store. map_shard: a path in the output
    folder; map_key: the first part of the names of this film's maps in it ("KEY/stride14", "KEY/layer11")."""

    image: str
    study_id: str | None
    patient_id: str | None
    view: str | None
    view_source: str | None
    pixels_sha256: str
    key: str
    encoder: str
    pooling: str
    map_shard: str | None
    map_key: str | None


def write_vectors(path: Path, lines: Iterable[Line], store: Store) -> int:
    """Write the table, whole or not at all, and give its number of rows. `global` is a list of float32.

    Raises:
        OSError: it cannot be written.
    """
    import duckdb

    chunks: list[Path] = []
    count = 0
    try:
        with duckdb.connect(config={"threads": 1}) as db, whole_file(path) as part:
            for some in _chunks(lines):
                chunks.append(store.folder / f"rows-{len(chunks):05}.parquet")
                db.register("held", _columns(some, store))
                names = ", ".join(f'CAST("{name}" AS VARCHAR) AS "{name}"' for name in Line._fields)
                held = db.sql(f'SELECT {names}, CAST("global" AS FLOAT[]) AS "global" FROM held')
                held.write_parquet(str(chunks[-1]), compression="zstd")
                count += len(some)
            together = db.read_parquet([str(chunk) for chunk in chunks])  # DuckDB keeps their order
            together.write_parquet(str(part), compression="zstd", row_group_size=_GROUP_ROWS)
    except duckdb.Error as error:
        raise OSError(f"cannot write {path}: {error}") from error
    finally:
        for chunk in chunks:
            chunk.unlink(missing_ok=True)
    return count


def _chunks(lines: Iterable[Line]) -> Iterator[Sequence[Line]]:
    """At least one, so that a table without rows has its columns."""
    rest = iter(lines)
    yield list(itertools.islice(rest, _CHUNK_ROWS))
    while some := list(itertools.islice(rest, _CHUNK_ROWS)):
        yield some


def _columns(lines: Sequence[Line], store: Store) -> dict[str, NDArray[Any]]:
    columns = {name: _objects([line[place] for line in lines]) for place, name in enumerate(Line._fields)}
    blocks = {part: store.vectors_of(part) for part in {store.vectors[line.key][0] for line in lines}}
    vectors = [blocks[part][row] for part, row in (store.vectors[line.key] for line in lines)]
    return columns | {"global": _objects(vectors)}


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    found = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):  # assigning them at once would make a table of equal vectors
        found[place] = value
    return found
