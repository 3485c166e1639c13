"""Keeps every checked answer under its content address, so that nothing is ever asked twice.

One SQLite file in write-ahead mode: a killed process loses at most what it had not yet handed over, a torn write is
rolled back on opening, and several runs may share the file. Parquet segments with DuckDB as index were planned; DuckDB
lets no second process open a file that is being written, and recovering segments after a kill took more code than the
rest of the store. Facts for labels hold sentence numbers and enums only, but a judge's phrases hold the words of
reports: the file is for its owner alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

_BATCH = 500  # keys in one query; SQLite allows 32,766 variables, older builds 999


class StoreError(Exception):
    """The store cannot be read or written; the message says where and why."""


class Store:
    """Answers by key. Use as a context manager, from one thread.

    Raises:
        StoreError: the file is no store, or the disk is full or read-only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)  # answers about patients: for this user only
            self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")  # a killed process loses nothing that was committed
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise self._failure(error) from error

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """The answers that are there, of the keys that are asked for."""
        found: dict[bytes, str] = {}
        try:
            for start in range(0, len(keys), _BATCH):
                batch = keys[start : start + _BATCH]
                marks = ",".join("?" * len(batch))
                found.update(self._db.execute(f"SELECT key, answer FROM answers WHERE key IN ({marks})", batch))
        except sqlite3.Error as error:
            raise self._failure(error) from error
        return found

    def put(self, rows: Iterable[tuple[bytes, str]]) -> None:
        """Keep answers, all or none of them; a key that is there already keeps its first answer."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> StoreError:
        return StoreError(
            f"answer store {self._path}: {error}. Free disk space, check permissions or name another folder with "
            "--store; what was answered before is kept."
        )
