import multiprocessing
import os
import signal
import sqlite3
import time

import pytest

from labeling.runtime.store import Store, StoreError


def key(number):
    return number.to_bytes(16, "big")


def test_what_was_put_is_there_after_opening_again(tmp_path):
    path = tmp_path / "answers.sqlite"
    with Store(path) as store:
        store.put([(key(n), f"answer {n}") for n in range(2000)])
    with Store(path) as store:
        found = store.get([key(n) for n in range(1500, 2500)])
    assert found == {key(n): f"answer {n}" for n in range(1500, 2000)}


def test_the_first_answer_stays(tmp_path):
    with Store(tmp_path / "answers.sqlite") as store:
        store.put([(key(1), "first")])
        store.put([(key(1), "second"), (key(2), "other")])
        assert store.get([key(1), key(2)]) == {key(1): "first", key(2): "other"}


def test_the_file_is_for_its_owner_only(tmp_path):
    with Store(tmp_path / "answers.sqlite"):
        assert (tmp_path / "answers.sqlite").stat().st_mode & 0o077 == 0


def write_forever(path, started):
    with Store(path) as store:
        number = 0
        while True:
            store.put([(key(number + n), "x" * 500) for n in range(50)])
            number += 50
            started.value = number


@pytest.mark.parametrize("moment", [0.0, 0.013, 0.031])
def test_a_kill_loses_no_batch_that_was_put_and_tears_none(tmp_path, moment):
    context = multiprocessing.get_context("fork")
    path, started = tmp_path / "answers.sqlite", context.Value("q", 0)
    writer = context.Process(target=write_forever, args=(path, started))
    writer.start()
    while started.value < 500:
        time.sleep(0.001)
    time.sleep(moment)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    safe = started.value
    with Store(path) as store:
        kept = len(store.get([key(n) for n in range(safe + 200)]))
    assert kept >= safe
    assert kept % 50 == 0


def test_two_processes_share_a_store(tmp_path):
    with Store(tmp_path / "answers.sqlite") as one, Store(tmp_path / "answers.sqlite") as two:
        one.put([(key(1), "one")])
        two.put([(key(2), "two")])
        assert len(one.get([key(1), key(2)])) == 2


def test_a_file_that_is_no_store_is_named(tmp_path):
    path = tmp_path / "answers.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match=r"answers\.sqlite"):
        Store(path)


def test_a_full_disk_is_named_and_what_was_there_is_kept(tmp_path):
    with Store(tmp_path / "answers.sqlite") as store:
        store.put([(key(1), "kept")])
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count={pages}")  # SQLite's own "disk is full"
        with pytest.raises(StoreError, match="full"):
            store.put([(key(n), "x" * 10_000) for n in range(2, 100)])
        assert store.get([key(1), key(2)]) == {key(1): "kept"}
        assert isinstance(store._db, sqlite3.Connection)
