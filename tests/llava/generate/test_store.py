"""Predictions survive kills, and are never mixed up."""

from __future__ import annotations

import json
import multiprocessing
import stat
from pathlib import Path

import pytest

from llava.generate.store import Line, Store, StoreError, beside, opened, part_of


def line(study_id: str, run: str = "r1", text: str = "The heart is normal.", key: str = "k") -> Line:
    return Line(study_id, "p", text, run, key, 5, "stop", 0)


def keys(*ids: str) -> dict[str, str]:
    return dict.fromkeys(ids, "k")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "predictions.jsonl"


def test_lines_come_in_the_tables_order_and_the_part_goes(output):
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("b")])
        store.add([line("a"), line("c")])
        assert not output.exists()  # whoever finds it finds all of it
        assert store.finish(["a", "b", "c"]) == 3
    assert [json.loads(one)["study_id"] for one in output.read_text().splitlines()] == ["a", "b", "c"]
    assert [path.name for path in output.parent.iterdir()] == ["predictions.jsonl"]


def test_reports_are_for_their_owner_alone(output):
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("a")])
        assert stat.S_IMODE(part_of(output).stat().st_mode) == 0o600
        store.finish(["a"])
    assert stat.S_IMODE(output.stat().st_mode) == 0o600


def test_a_patient_that_is_not_known_has_no_column(output):
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("a")._replace(patient_id=None), line("b")])
        store.finish(["a", "b"])
    first, second = (json.loads(one) for one in output.read_text().splitlines())
    assert "patient_id" not in first
    assert second["patient_id"] == "p"


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_last_line_is_dropped_and_the_rest_kept(output, cut):
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("a"), line("b")])
    part = part_of(output)
    part.write_bytes(part.read_bytes()[:-cut])

    with opened(output, "r1", overwrite=False) as store:
        assert store.missing(keys("a", "b")) == ["b"]
        assert store.torn == 1
        store.add([line("b", text="Once more.")])
        store.finish(["a", "b"])
    assert [json.loads(one)["prediction"] for one in output.read_text().splitlines()] == [
        "The heart is normal.",
        "Once more.",
    ]


def test_a_second_kill_after_a_torn_line_loses_nothing_more(output):
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("a"), line("b")])
    part = part_of(output)
    part.write_bytes(part.read_bytes()[:-3])
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("c")])
    with opened(output, "r1", overwrite=False) as store:
        assert (sorted(store.lines), store.torn) == (["a", "c"], 0)


def test_zeros_that_a_crash_left_are_no_line(output):
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("a")])
    with part_of(output).open("ab") as file:
        file.write(b"\0" * 50 + b"\n")
    with opened(output, "r1", overwrite=False) as store:
        assert (sorted(store.lines), store.torn) == (["a"], 1)


def test_another_run_is_refused_and_nothing_of_it_touched(output):
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("a")])
        store.finish(["a"])
    before = output.read_bytes()
    with (
        pytest.raises(StoreError, match=r"reports of another run \(r1; this one is r2\)"),
        opened(output, "r2", overwrite=False),
    ):
        pass
    assert output.read_bytes() == before
    assert not part_of(output).exists()


def test_overwriting_forgets_the_other_run_for_good(output):
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("a")])
        store.finish(["a"])
    with opened(output, "r2", overwrite=True) as store:
        assert store.missing(keys("a", "b")) == ["a", "b"]
        store.add([line("b", run="r2")])
    with opened(output, "r2", overwrite=False) as store:  # killed; goes on without the flag
        assert store.missing(keys("a", "b")) == ["a"]


def test_a_study_that_has_changed_is_missing_again(output):
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("a"), line("b")])
        store.finish(["a", "b"])
    with opened(output, "r1", overwrite=False) as store:
        assert store.missing({"a": "k", "b": "another"}) == ["b"]
        assert store.stale == 1
        store.add([line("b", key="another", text="New.")])
        store.finish(["a", "b"])
    assert json.loads(output.read_text().splitlines()[1])["prediction"] == "New."


def test_a_smaller_table_does_not_throw_reports_away(output):
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("a"), line("b")])
        store.finish(["a", "b"])
    with opened(output, "r1", overwrite=False) as store, pytest.raises(StoreError, match="of 1 studies that are not"):
        store.missing(keys("a"))
    assert len(output.read_text().splitlines()) == 2


def _hold(output: Path, ready: multiprocessing.synchronize.Event, go: multiprocessing.synchronize.Event) -> None:
    with opened(output, "r1", overwrite=False):
        ready.set()
        go.wait(30)


def test_two_runs_cannot_write_one_output(output):
    context = multiprocessing.get_context("fork")
    ready, go = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(output, ready, go))
    other.start()
    try:
        assert ready.wait(30)
        with (
            pytest.raises(StoreError, match="another generate-reports is writing"),
            opened(output, "r1", overwrite=False),
        ):
            pass
    finally:
        other.kill()  # and a killed holder lets go
        other.join()
    with opened(output, "r1", overwrite=False) as store:
        assert isinstance(store, Store)


def test_any_text_comes_back_as_it_was(output):
    text = 'Quote " and \u2028 line, tab\t, \r, é, 胸'
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("a", text=text)])
    with opened(output, "r1", overwrite=False) as store:
        assert store.lines["a"].prediction == text


def test_what_stands_beside_bears_its_name():
    assert beside(Path("x/predictions.jsonl"), "failures.jsonl") == Path("x/predictions.failures.jsonl")


def test_a_file_that_is_not_predictions_is_never_replaced(output):
    output.parent.mkdir()
    output.write_text(json.dumps({"study_id": "a", "frontal": "a.png", "findings": "The heart is normal."}) + "\n")
    before = output.read_bytes()
    with (
        pytest.raises(StoreError, match="1 of 1 lines that generate-reports did not write"),
        opened(output, "r1", overwrite=False),
    ):
        pass
    assert output.read_bytes() == before


def test_a_prediction_that_is_no_text_is_no_line(output):
    with opened(output, "r1", overwrite=False) as store:
        store.add([line("a")])
        store.finish(["a"])
    output.write_text(output.read_text().replace(json.dumps(line("a").prediction), "null"))
    with pytest.raises(StoreError, match="1 of 1 lines"), opened(output, "r1", overwrite=False):
        pass
