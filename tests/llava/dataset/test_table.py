"""Tables of studies: every format gives the same, what is wrong is said at once, and opening again costs nothing."""

import csv
import json
import multiprocessing
import os
import pickle
import stat

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llava.dataset.shared import patients_in_both
from llava.dataset.table import StudyTable
from studies.records import GenerationStudy
from studies.tables import InputError

ROWS = [
    {
        "study_id": "1",
        "patient_id": "A",
        "frontal": "a.png",
        "lateral": "b.png",
        "prior_frontal": "p.png",
        "frontal_view": "PA",
        "indication": "Cough",  # 5
        "technique": "PA",  # 2
        "comparison": None,
        "prior_report": "Before.\nNormal.",  # 15
        "findings": "Größer 😀",  # 8
    },
    {"study_id": "2", "patient_id": "B", "lateral": "c.png", "prior_report": "unseen", "findings": "Clear"},
    {"study_id": "3", "patient_id": "A", "frontal": "d.png", "indication": "  ", "findings": "\t"},
    {"study_id": "4", "patient_id": None, "prior_frontal": "e.png", "findings": "No current film"},
]


def write(path, rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]), path)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names, delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


def opened(path, *, need_findings=True, **options):
    return StudyTable.open(path, cache=path.parent / "cache", need_findings=need_findings, **options)


FORMATS = pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])


@FORMATS
def test_every_format_gives_the_same_studies(tmp_path, suffix):
    table = opened(write(tmp_path / f"studies{suffix}", ROWS))
    blank = {"2": {}, "3": {"indication": None, "findings": None}, "4": {}}
    expected = [GenerationStudy(**row | blank.get(row["study_id"], {})) for row in ROWS]
    assert [table[place] for place in range(len(table))] == expected
    assert table.study_ids == ["1", "2", "3", "4"]
    assert table.root == tmp_path
    assert table.ignored_columns == ()


@FORMATS
def test_lengths_are_known_without_reading_any_text(tmp_path, suffix):
    table = opened(write(tmp_path / f"studies{suffix}", ROWS))
    # Study 1: 5 + 2 + 15 + 8. Study 2: its prior report counts only beside a prior film. Blank texts have no length.
    assert table.text_characters_N.tolist() == [30, 5, 0, 15]
    assert table.prior_characters_N.tolist() == [15, 0, 0, 0]
    assert table.images_N.tolist() == [3, 1, 1, 1]
    assert (table.without_film, table.without_findings) == (1, 1)
    tokens_N = table.estimated_tokens(100, characters_per_token=4.0)
    # 30 / 4 is 8 tokens, 5 / 4 is 2, 15 / 4 is 4
    assert np.diff(tokens_N).tolist() == [(100 + 2) - (300 + 8), -2, 4]
    assert tokens_N[2] > 100


def test_findings_that_are_not_needed_have_no_length_and_are_not_missed(tmp_path):
    table = opened(write(tmp_path / "studies.jsonl", ROWS), need_findings=False)
    assert table.text_characters_N.tolist() == [22, 0, 0, 0]
    assert table.without_findings == 0
    assert table[0].findings == "Größer 😀"


def test_numbers_as_ids_and_the_names_that_hospitals_give_them(tmp_path):
    rows = [{"Accession": 17, "subject_id": 9, "frontal": "a.png", "age": 40}, {"Accession": 18, "subject_id": None}]
    for suffix in (".jsonl", ".parquet"):
        table = opened(write(tmp_path / f"studies{suffix}", rows), need_findings=False)
        assert [(study.study_id, study.patient_id) for study in map(table.__getitem__, range(2))] == [
            ("17", "9"),
            ("18", None),
        ]
        assert table.ignored_columns == ("age",)


def test_a_nul_and_any_letter_come_back_as_they_were(tmp_path):
    text = "a\0b 😀 \u2028 </s> é"
    for suffix in (".jsonl", ".parquet"):
        path = write(tmp_path / f"studies{suffix}", [{"study_id": "1", "frontal": "a.png", "findings": text}])
        assert opened(path)[0].findings == text


def test_any_place_of_a_large_table_gives_its_own_study(tmp_path):
    rows = [{"study_id": str(number), "findings": f"Text {number}"} for number in range(5000)]
    table = pa.Table.from_pylist(rows)
    for name, size in (("small", 7), ("odd", 1500), ("one", 10_000)):
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=size)
        found = opened(tmp_path / f"{name}.parquet")
        assert len(found) == 5000
        for place in (0, 1, 1499, 1500, 2047, 2048, 2999, 4999):
            assert (found[place].study_id, found[place].findings) == (str(place), f"Text {place}")
        assert found.study_ids == [str(number) for number in range(5000)]
    for place in (-1, 5000):
        with pytest.raises(IndexError):
            found[place]
    assert opened(write(tmp_path / "studies.csv", rows)).study_ids == found.study_ids


def test_rows_are_kept_in_batches_however_small_the_row_groups_are(tmp_path):
    pq.write_table(pa.table({"study_id": [str(n) for n in range(3000)]}), tmp_path / "t.parquet", row_group_size=1)
    opened(tmp_path / "t.parquet")
    (file,) = (tmp_path / "cache").glob("*/studies.arrow")
    assert pa.ipc.open_file(file).num_record_batches == 2


def test_a_folder_of_parquet_files_is_one_table(tmp_path):
    (tmp_path / "parts").mkdir()
    write(tmp_path / "parts" / "b.parquet", ROWS[2:])
    write(tmp_path / "parts" / "a.parquet", ROWS[:2])
    table = StudyTable.open(tmp_path / "parts", cache=tmp_path / "cache", need_findings=True)
    assert table.study_ids == ["1", "2", "3", "4"]
    assert [table[place].study_id for place in range(4)] == ["1", "2", "3", "4"]
    assert table.root == tmp_path / "parts"
    with pytest.raises(InputError, match=r"folder without \.parquet files"):
        StudyTable.open(tmp_path / "cache", cache=tmp_path / "cache", need_findings=True)


def test_texts_of_other_parquet_types_are_texts(tmp_path):
    columns = {
        "study_id": pa.array([7], pa.uint16()),
        "patient_id": pa.array(["P"]).dictionary_encode(),
        "frontal": pa.array(["a.png"], pa.large_string()),
        "indication": pa.nulls(1),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    study = opened(tmp_path / "t.parquet")[0]
    assert (study.study_id, study.patient_id, study.frontal, study.indication) == ("7", "P", "a.png", None)


# what is refused


@FORMATS
def test_a_study_id_that_stands_twice_is_refused(tmp_path, suffix):
    path = write(tmp_path / f"studies{suffix}", [*ROWS, {"study_id": "2"}, {"study_id": "3"}])
    with pytest.raises(InputError, match=r"2 study_id values stand in several rows, such as '2', '3'"):
        opened(path)
    assert not list((tmp_path / "cache").glob("*/*"))  # nothing is left to be taken for a table


@FORMATS
def test_a_row_without_study_id_is_refused_with_its_place(tmp_path, suffix):
    path = write(
        tmp_path / f"studies{suffix}", [{"study_id": "1", "findings": "x"}, {"study_id": " ", "findings": "x"}]
    )
    with pytest.raises(InputError, match=r"(line 3|line 2|row 2): no study_id"):
        opened(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.jsonl", '{"exam": 1}\n', "no column study_id; its columns: exam"),
        ("t.jsonl", "", "is empty"),
        ("t.jsonl", "\n\n", "is empty"),
        ("t.csv", "study_id,findings\n", "no reports"),
        ("t.jsonl", '{"study_id": "1"}\n{"study_id": ', "line 2: not JSON"),
        ("t.jsonl", '{"study_id": 1.5}\n', "1.5 is neither text nor a whole number"),
        ("t.jsonl", '{"study_id": "1", "findings": ["a"]}\n', "line 1: findings is list, not text"),
        ("t.jsonl", '{"study_id": "1", "frontal": 3}\n', "line 1: frontal is int, not text"),
        ("t.jsonl", '{"study_id": "1", "findings": "a \\ud83d"}\n', "line 1: findings holds half of a character"),
        ("t.csv", "study_id,findings\n1,a,b\n", "line 2: 3 fields where the header has 2"),
        ("t.csv", "study_id,findings\n1,a\0b\n", "NUL bytes"),
        ("t.parquet", "PAR1 no", "not a Parquet file, or is damaged"),
        ("t.xlsx", "x", "not .csv, .tsv, .jsonl or .parquet"),
    ],
)
def test_a_file_that_is_no_table_of_studies_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        opened(tmp_path / name)
    assert message in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv does not exist"):
        opened(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"study_id": [1.0]}, "column study_id is of type double, not text or whole numbers"),
        ({"study_id": ["1"], "findings": [["a"]]}, "column findings is of type list<.*>, not text"),
        ({"study_id": ["1"], "frontal": [3]}, "column frontal is of type int64, not text"),
        ({"study_id": ["1"], "findings": [b"a"]}, "column findings is of type binary, not text"),
        ({"study_id": pa.array([], pa.string())}, "has no rows"),
    ],
)
def test_parquet_columns_of_other_types_are_refused(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=message):
        opened(tmp_path / "t.parquet")


def test_parquet_text_that_is_not_utf8_is_refused(tmp_path):
    wrong = pa.Array.from_buffers(pa.string(), 1, [None, *pa.array([b"Heart \xff normal"]).buffers()[1:]])
    pq.write_table(pa.table({"study_id": ["1"], "findings": wrong}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="damaged near row 1"):
        opened(tmp_path / "t.parquet")


def test_a_parquet_file_that_is_damaged_within_is_refused(tmp_path):
    rows = [{"study_id": str(number), "findings": os.urandom(40).hex()} for number in range(4000)]
    path = write(tmp_path / "t.parquet", rows)
    content = bytearray(path.read_bytes())
    content[2000:90_000] = bytes(88_000)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged near row"):
        opened(path)


# the converted copy


def test_opening_again_converts_nothing_and_a_changed_file_takes_the_old_one_s_place(tmp_path):
    path = write(tmp_path / "studies.jsonl", ROWS)
    opened(path)
    (first,) = (tmp_path / "cache").glob("*/studies.arrow")
    made = first.stat().st_mtime_ns
    opened(path)
    assert [file.stat().st_mtime_ns for file in (tmp_path / "cache").glob("*/studies.arrow")] == [made]
    write(path, ROWS[:2])
    assert len(opened(path)) == 2
    (second,) = (tmp_path / "cache").glob("*/studies.arrow")  # no report of the file as it was is left behind
    assert second != first


def test_a_table_with_and_without_need_of_findings_are_two(tmp_path):
    path = write(tmp_path / "studies.jsonl", ROWS)
    for _ in range(2):
        assert opened(path, need_findings=True).text_characters_N[1] == 5
        assert opened(path, need_findings=False).text_characters_N[1] == 0
    assert len(list((tmp_path / "cache").glob("*/studies.arrow"))) == 2


def test_the_copy_is_its_owner_s_alone(tmp_path):
    old = os.umask(0)
    try:
        opened(write(tmp_path / "studies.jsonl", ROWS))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700


def test_what_a_killed_process_left_behind_is_taken_away(tmp_path):
    path = write(tmp_path / "studies.jsonl", ROWS)
    opened(path)
    (entry,) = (file.parent for file in (tmp_path / "cache").glob("*/studies.arrow"))
    left = entry.with_name(f"{entry.name.partition('-')[0]}-part-x")
    entry.rename(left)
    assert len(opened(path)) == 4
    assert entry.exists()
    assert not left.exists()


def _length(path):
    return len(opened(path)), os.getpid()


def test_processes_that_open_it_together_convert_it_once(tmp_path):
    path = write(tmp_path / "t.parquet", [{"study_id": str(number)} for number in range(3000)])
    with multiprocessing.get_context("fork").Pool(3) as pool:
        found = pool.map(_length, [path] * 3, chunksize=1)
    assert {length for length, _ in found} == {3000}
    assert len(list((tmp_path / "cache").glob("*/"))) == 1


def test_a_copy_in_another_process_maps_the_same_files(tmp_path):
    path = write(tmp_path / "t.parquet", [{"study_id": str(n), "findings": "x" * 1000} for n in range(3000)])
    table = opened(path)
    sent = pickle.dumps(table)
    assert len(sent) < 2000
    copy = pickle.loads(sent)
    assert copy[2999] == table[2999]
    assert copy.text_characters_N.tolist() == table.text_characters_N.tolist()


def test_a_cache_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    path = write(tmp_path / "studies.jsonl", ROWS)
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OSError, match="cache"):
        opened(path)


# patients


def test_patients_of_both_tables_are_named(tmp_path):
    train = opened(write(tmp_path / "train.jsonl", ROWS))
    kept = [{"study_id": "9", "patient_id": "C"}, {"study_id": "10"}, {"study_id": "11", "patient_id": "A"}]
    held_out = opened(write(tmp_path / "held_out.jsonl", kept))
    assert patients_in_both(train, held_out) == ["A"]
    others = opened(write(tmp_path / "others.jsonl", kept[:2]))
    assert patients_in_both(train, others) == []  # two studies without a patient are no patient in common
