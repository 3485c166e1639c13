"""The per-study table on the disk: what is written is what is read, and a broken file is no table."""

import duckdb
import numpy as np
import pytest

from eval.per_study import read_per_study, write_per_study


def words(*values):
    return np.array(values, dtype=object)


def table(**more):
    return {"study_id": words("s1", "s2"), "patient_id": words("p", "p"), "reference_sha256": words("a", "b"), **more}


def test_every_column_is_read_back_to_the_last_bit(tmp_path):
    columns = table(
        score=np.array([0.1 + 0.2, 1 / 3]),
        gaps=np.array([np.nan, 2.0]),
        nothing=np.array([np.nan, np.nan]),
        label=words("positive", None),
        silent=words(None, None),
        numeric=words("007", "1e3"),  # words that look like numbers stay words
    )
    columns['group_a "quoted", name'] = words("x", "ü")
    write_per_study(tmp_path / "t.parquet", columns)
    found = read_per_study(tmp_path / "t.parquet")
    assert list(found) == list(columns)
    for name, values in columns.items():
        assert found[name].dtype == values.dtype, name
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_what_is_not_there_is_null_in_the_file(tmp_path):
    write_per_study(tmp_path / "t.parquet", table(gaps=np.array([np.nan, 2.0]), label=words("positive", None)))
    rows = duckdb.sql(f"SELECT gaps, label FROM '{tmp_path / 't.parquet'}'").fetchall()
    assert rows == [(None, "positive"), (2.0, None)]


def test_whole_numbers_are_read_as_float64(tmp_path):
    write_per_study(tmp_path / "t.parquet", table(count=np.array([1, 2], dtype=np.int64)))
    assert read_per_study(tmp_path / "t.parquet")["count"].dtype == np.float64


def test_the_order_of_many_rows_is_kept(tmp_path):
    names = [f"s{n}" for n in range(30_000)][::-1]
    columns = {"study_id": words(*names), "patient_id": words(*names), "reference_sha256": words(*names)}
    write_per_study(tmp_path / "t.parquet", columns)
    assert read_per_study(tmp_path / "t.parquet")["study_id"].tolist() == names


def test_the_file_is_for_its_owner_only_and_nothing_is_left_beside_it(tmp_path):
    write_per_study(tmp_path / "t.parquet", table())
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]
    assert (tmp_path / "t.parquet").stat().st_mode & 0o077 == 0


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    with pytest.raises(OSError, match="cannot write"):
        write_per_study(tmp_path / "none" / "t.parquet", table())
    (tmp_path / "t.parquet").mkdir()
    with pytest.raises(OSError, match=r"t\.parquet"):
        write_per_study(tmp_path / "t.parquet", table())
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


class TestRefused:
    def test_no_file(self, tmp_path):
        with pytest.raises(ValueError, match="does not exist; score-reports writes it"):
            read_per_study(tmp_path / "t.parquet")

    def test_a_damaged_file(self, tmp_path):
        write_per_study(tmp_path / "t.parquet", table())
        whole = (tmp_path / "t.parquet").read_bytes()
        for broken in (b"", b"nonsense", whole[: len(whole) // 2]):
            (tmp_path / "t.parquet").write_bytes(broken)
            with pytest.raises(ValueError, match="is no Parquet file, or is damaged"):
                read_per_study(tmp_path / "t.parquet")

    @pytest.mark.parametrize("lost", ["study_id", "patient_id", "reference_sha256"])
    def test_a_table_of_something_else(self, tmp_path, lost):
        columns = table(score=np.array([1.0, 2.0]))
        del columns[lost]
        write_per_study(tmp_path / "t.parquet", columns)
        with pytest.raises(ValueError, match=rf"has no column {lost}: it is no table of score-reports"):
            read_per_study(tmp_path / "t.parquet")
