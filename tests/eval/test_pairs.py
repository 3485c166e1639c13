"""Joining generated and reference reports: nothing is dropped in silence, nothing is joined by guess."""

import json

import duckdb
import pytest

from eval.pairs import ColumnNames, Problem, read_pairs, say_problems, text_sha256
from studies.tables import InputError


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def join(tmp_path):
    """Join rows given as lists of objects."""

    def joined(predictions, references, *, need_patients=True, **columns):
        return read_pairs(
            write(tmp_path / "p.jsonl", predictions),
            write(tmp_path / "r.jsonl", references),
            ColumnNames(**columns),
            need_patients=need_patients,
        )

    return joined


def predictions(*texts):
    return [{"study_id": f"s{n}", "prediction": text} for n, text in enumerate(texts, 1)]


def references(*texts, **more):
    rows = [{"study_id": f"s{n}", "reference": text} for n, text in enumerate(texts, 1)]
    return [row | {key: values[place] for key, values in more.items()} for place, row in enumerate(rows)]


def test_studies_come_in_the_order_of_the_references_each_with_its_own_texts(join):
    found = join(predictions("A", "B", "C"), references("a", "b", "c")[::-1])
    assert [(one.study_id, one.prediction, one.reference) for one in found.studies] == [
        ("s3", "C", "c"),
        ("s2", "B", "b"),
        ("s1", "A", "a"),
    ]
    assert found.problems == ()
    assert not found.has_patients
    assert found.counts == {
        "predictions": 3,
        "references": 3,
        "scored": 3,
        "missing_predictions": 0,
        "missing_references": 0,
        "duplicate_predictions": 0,
        "duplicate_references": 0,
        "empty_predictions": 0,
        "empty_references": 0,
    }


def test_what_stands_on_one_side_only_is_counted_and_named(join):
    found = join(predictions("A", "B"), references("a", "b", "c", "d")[1:])
    assert [one.study_id for one in found.studies] == ["s2"]
    assert found.problems == (
        Problem("references without a prediction", ("s3", "s4")),
        Problem("predictions without a reference", ("s1",)),
    )
    assert (found.counts["missing_predictions"], found.counts["missing_references"]) == (2, 1)
    assert say_problems(found.problems) == (
        "2 references without a prediction (s3, s4); 1 predictions without a reference (s1)"
    )


def test_a_long_list_of_ids_is_cut_and_its_count_is_not(join):
    found = join(predictions("A"), references(*"abcdefgh"))
    assert say_problems(found.problems) == "7 references without a prediction (s2, s3, s4, s5, s6, ...)"


@pytest.mark.parametrize("side", ["prediction", "reference"])
def test_an_id_that_stands_twice_is_joined_to_nothing(join, side):
    rows = {"prediction": predictions("A", "B"), "reference": references("a", "b")}
    rows[side] = [*rows[side], rows[side][0] | {side: "another text"}]
    found = join(rows["prediction"], rows["reference"])
    assert [one.study_id for one in found.studies] == ["s2"]
    assert found.problems == (Problem(f"ids that stand more than once among the {side}s", ("s1",)),)
    assert found.counts[f"duplicate_{side}s"] == 1
    assert found.counts["scored"] == 1


def test_an_id_that_stands_three_times_is_named_once(join):
    found = join(predictions("A", "B") + predictions("A") * 2, references("a", "b"))
    assert found.problems == (Problem("ids that stand more than once among the predictions", ("s1",)),)


@pytest.mark.parametrize("empty", ["", " \n\t", None])
def test_empty_texts_are_counted_and_joined(join, empty):
    found = join(predictions("A", empty, empty), references("a", "b", empty))
    assert [one.study_id for one in found.studies] == ["s1", "s2", "s3"]
    assert found.problems == (
        Problem("empty predictions", ("s2", "s3")),
        Problem("empty references", ("s3",)),
    )
    assert found.studies[2].prediction == (empty or "")


def test_an_empty_text_that_is_not_joined_is_not_counted_twice(join):
    found = join(predictions("A"), references("a", ""))
    assert found.problems == (Problem("references without a prediction", ("s2",)),)


def test_files_that_share_no_id_are_refused_with_ids_of_both(join):
    with pytest.raises(InputError, match=r"no study id .* predictions have x1, references s1; .*--id-column"):
        join([{"study_id": "x1", "prediction": "A"}], references("a"))


def test_files_that_share_only_ids_that_stand_twice_are_told_so(join):
    with pytest.raises(InputError, match=r"share stands more than once \(s1\); .*--id-column"):
        join(predictions("A") * 2, references("a"))


def test_formats_can_be_mixed_and_numbers_are_ids_like_their_digits(tmp_path):
    texts = {50414267: "Größe, normal.", 50414268: "Clear."}
    rows = ", ".join(f"({key}, 7, '{text}')" for key, text in texts.items())
    duckdb.sql(f"SELECT * FROM (VALUES {rows}) v(study_id, subject_id, findings)").write_parquet(
        str(tmp_path / "r.parquet")
    )
    (tmp_path / "r.csv").write_text(
        "study_id,subject_id,findings\n" + "".join(f'{key},7,"{text}"\n' for key, text in texts.items())
    )
    write(tmp_path / "p.jsonl", [{"study_id": key, "prediction": text} for key, text in texts.items()])
    (tmp_path / "p.tsv").write_text(
        "study_id\tprediction\n" + "".join(f"{key}\t{text}\n" for key, text in texts.items())
    )
    expected = [(str(key), "7", text, text, ()) for key, text in texts.items()]
    for prediction in ("p.jsonl", "p.tsv"):
        for reference in ("r.parquet", "r.csv"):
            found = read_pairs(tmp_path / prediction, tmp_path / reference, ColumnNames())
            assert [tuple(one) for one in found.studies] == expected, (prediction, reference)


def test_ids_with_leading_zeros_are_not_numbers(join):
    with pytest.raises(InputError, match=r"no study id .*predictions have 007, references 7;"):
        join([{"study_id": "007", "prediction": "B"}], [{"study_id": 7, "reference": "b"}])


@pytest.mark.parametrize(
    ("study_id", "complaint"), [("", "the study id is empty"), (None, "neither text"), (1.5, "1.5")]
)
def test_a_study_without_a_proper_id_is_refused_with_its_line(join, study_id, complaint):
    with pytest.raises(InputError, match=rf"p\.jsonl line 2: .*{complaint}"):
        join([*predictions("A"), {"study_id": study_id, "prediction": "B"}], references("a"))


def test_texts_are_found_by_usual_names_and_the_given_name_wins(join):
    rows = [{"study_id": "s1", "generated_report": "found", "note": "named"}]
    truth = [{"study_id": "s1", "findings": "found", "impression": "named"}]
    assert join(rows, truth).studies[0][2:4] == ("found", "found")
    named = join(rows, truth, prediction="note", reference="impression")
    assert named.studies[0][2:4] == ("named", "named")
    with pytest.raises(InputError, match=r"no column 'nothing' \(--reference-column\)"):
        join(rows, truth, reference="nothing")


class TestPatients:
    def test_they_are_read_from_the_references(self, join):
        found = join(
            [row | {"patient_id": "wrong"} for row in predictions("A", "B")],
            references("a", "b", patient_id=["p1", 2]),
        )
        assert found.has_patients
        assert [one.patient_id for one in found.studies] == ["p1", "2"]

    def test_or_from_the_predictions_where_the_references_name_none(self, join):
        found = join([row | {"subject_id": "p"} for row in predictions("A")], references("a"))
        assert [one.patient_id for one in found.studies] == ["p"]

    def test_the_column_that_is_named_wins_over_the_usual_name(self, join):
        found = join(predictions("A"), references("a", patient_id=["p"], family=["f"]), patient_id="family")
        assert [one.patient_id for one in found.studies] == ["f"]

    @pytest.mark.parametrize("gap", ["", "  ", None])
    def test_a_gap_is_refused_unless_studies_are_resampled_anyway(self, join, gap):
        rows = predictions("A", "B"), references("a", "b", patient_id=["p1", gap])
        with pytest.raises(InputError, match=r"1 of 2 studies name no patient \(s2\).*--iid"):
            join(*rows)
        found = join(*rows, need_patients=False)
        assert [one.patient_id for one in found.studies] == [None, None]

    def test_a_gap_at_a_study_that_is_not_joined_does_not_matter(self, join):
        found = join(predictions("A"), references("a", "b", patient_id=["p1", ""]))
        assert [one.patient_id for one in found.studies] == ["p1"]

    def test_a_named_column_that_is_nowhere_is_refused(self, join):
        with pytest.raises(InputError, match=r"neither file has a column 'pid' \(--patient-column\).*study_id, pred"):
            join(predictions("A"), references("a"), patient_id="pid")


class TestMetadata:
    def test_it_comes_from_the_references_and_where_they_say_nothing_from_the_predictions(self, join):
        found = join(
            [row | {"sex": "X", "site": "north"} for row in predictions("A", "B")],
            references("a", "b", sex=["F", " "], view=[1, None]),
            groups=("sex", "site", "view"),
        )
        assert found.group_columns == ("sex", "site", "view")
        assert [one.groups for one in found.studies] == [("F", "north", "1"), ("X", "north", None)]

    def test_a_column_that_is_nowhere_is_refused_and_not_taken_for_empty(self, join):
        with pytest.raises(InputError, match=r"neither file has a column 'gender' \(--subgroups\)"):
            join(predictions("A"), references("a", sex=["F"]), groups=("sex", "gender"))


def test_the_fingerprint_of_a_text_changes_with_any_character_and_takes_half_characters():
    assert text_sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert len({text_sha256(text) for text in ("abc", "abc ", "Abc", "\ud83d", "\ud83e")}) == 5
