"""Texts into labels: how text is read, that batches change nothing, and the original labeler's table."""

import csv

import numpy as np
import pytest

from eval.chexbert.csv_file import read_labels, write_labels
from eval.chexbert.labeler import load_chexbert
from eval.chexpert import CLASSES

WORDS = "the heart lungs are is clear enlarged no pleural effusion pneumothorax edema and , .".split()


@pytest.fixture
def labeler(tiny_state, save_chexbert):
    return load_chexbert(save_chexbert(tiny_state))


def invented_reports():
    """Reports of 0 to 600 words in no order of length, some of them twice."""
    chance = np.random.default_rng(0)
    reports = [" ".join(chance.choice(WORDS, size=size)) for size in chance.permutation([*range(0, 60, 2), 530, 600])]
    return [*reports, reports[3], reports[0], "   \n", ""]


def test_words_become_the_pieces_of_the_vocabulary(labeler):
    # Line numbers of the vocabulary: [CLS] 2, the 5, heart 6, is 9, enlarged 11, "." 23, [SEP] 3.
    assert labeler.token_ids("The HEART is enlarged.") == [2, 5, 6, 9, 11, 23, 3]
    # "edemas" = edema (16) + ##s (19); "café" loses its accent (17); "xyz" is [UNK] (1); "1." stays "1" (18) and ".".
    assert labeler.token_ids("1. edemas café xyz") == [2, 18, 23, 16, 19, 17, 1, 3]


def test_white_space_of_any_kind_is_one_space(labeler):
    assert labeler.token_ids(" \n the\t\theart\r\n\u00a0is ") == labeler.token_ids("the heart is")


@pytest.mark.parametrize("text", ["", "  \n\t "])
def test_an_empty_report_is_the_two_end_tokens_and_is_labelled_by_the_network(labeler, text):
    assert labeler.token_ids(text) == [2, 3]
    expected = [int(row.argmax()) for row in labeler.logits([[2, 3]])[0]]
    assert labeler.label_texts([text]).tolist() == [expected]


@pytest.mark.parametrize(("words", "kept"), [(509, 509), (510, 510), (511, 510), (900, 510)])
def test_more_than_512_ids_become_the_first_511_and_the_end_token(labeler, words, kept):
    assert labeler.token_ids("lungs " * words) == [2, *[7] * kept, 3]


def test_labels_do_not_depend_on_the_batch(labeler):
    reports = invented_reports()
    alone = np.concatenate([labeler.label_texts([report]) for report in reports])
    assert alone.shape == (36, 14)
    assert len(np.unique(alone, axis=0)) > 10  # the labels tell reports apart, so a mixed-up order would show
    for batch_tokens in (1, 60, 500, 100_000):
        np.testing.assert_array_equal(labeler.label_texts(reports, batch_tokens=batch_tokens), alone)


def test_padding_does_not_reach_the_logits(labeler):
    short, long = labeler.token_ids("the heart is enlarged"), labeler.token_ids("lungs " * 40)
    np.testing.assert_allclose(labeler.logits([short, long])[0], labeler.logits([short])[0], atol=1e-4)


def test_labels_are_codes_0_to_3_and_no_finding_is_blank_or_positive(labeler):
    codes = labeler.label_texts(invented_reports())
    assert codes.dtype == np.int8
    assert set(np.unique(codes[:, :13])) == {0, 1, 2, 3}
    assert set(np.unique(codes[:, 13])) <= {0, 1}


def test_batches_hold_the_tokens_they_may_and_progress_counts_reports_up_to_all_of_them(labeler):
    # Of 7, 4, 3 and 2 tokens with the two ends; the first and the last are the same report.
    reports = ["the heart", "edema", "the lungs are clear .", "", "the heart"]

    def progress(batch_tokens):
        seen = []
        labeler.label_texts(reports, batch_tokens=batch_tokens, on_progress=seen.append)
        return seen

    assert progress(1) == [1, 3, 4, 5]  # each different report alone, "the heart" for two
    assert progress(8) == [1, 4, 5]  # 7; 2 times 4; 2
    assert progress(14) == [3, 5]  # 2 times 7; the rest
    assert progress(None) == [5]


def test_no_reports_have_no_labels(labeler):
    assert labeler.label_texts([]).shape == (0, 14)


@pytest.mark.parametrize(
    ("texts", "batch_tokens", "message"),
    [
        (["clear", float("nan")], 8, "report 1 is float, not text"),
        (["clear", "a \ud800 b"], 8, "report 1 holds half a character"),
        (["clear"], 0, "batch_tokens is 0"),
    ],
)
def test_what_is_no_text_is_refused(labeler, texts, batch_tokens, message):
    with pytest.raises(ValueError, match=message):
        labeler.label_texts(texts, batch_tokens=batch_tokens)


def test_the_table_says_blank_empty_positive_1_negative_0_uncertain_minus_1(tmp_path):
    codes = np.zeros((2, 14), dtype=np.int8)
    codes[0, :4] = [0, 1, 2, 3]
    codes[1, 13] = 1
    texts = ['Edema,\n"mild"', ""]
    write_labels(tmp_path / "labels.csv", texts, codes)
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["Report Impression", *CLASSES]
    assert rows[1] == [texts[0], "", "1", "0", "-1", *[""] * 10]
    assert rows[2] == ["", *[""] * 13, "1"]
    back, codes_back = read_labels(tmp_path / "labels.csv")
    assert back == texts
    np.testing.assert_array_equal(codes_back, codes)


def test_a_table_written_by_pandas_reads_the_same(tmp_path):
    # Columns with an empty cell are written as decimals, others as integers; a byte order mark may come first.
    path = tmp_path / "labels.csv"
    header = ",".join(["study", "Report Impression", *CLASSES])
    path.write_text(f"{header}\n7,Edema.,1.0,-1.0,0.0,1,,,,,,,,,,\n", encoding="utf-8-sig")
    texts, codes = read_labels(path)
    assert texts == ["Edema."]
    assert codes.tolist() == [[1, 3, 2, 1, *[0] * 10]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Edema", "Oedema"), "no column 'Edema'"),
        (("1.0", "2"), "line 2: Enlarged Cardiomediastinum is '2'"),
        ((",,\n", "\n"), "line 2: Support Devices is None"),
    ],
)
def test_a_table_that_is_not_the_labelers_is_refused(tmp_path, change, message):
    header = ",".join(["Report Impression", *CLASSES])
    (tmp_path / "labels.csv").write_text(f"{header}\nClear.,1.0,,,,,,,,,,,,,\n".replace(*change))
    with pytest.raises(ValueError, match=message):
        read_labels(tmp_path / "labels.csv")


def test_a_report_without_labels_is_not_written_as_blank(tmp_path):
    codes = np.zeros((2, 14), dtype=np.int8)
    codes[1] = -1
    with pytest.raises(ValueError, match="report 1 has no labels"):
        write_labels(tmp_path / "labels.csv", ["a", "b"], codes)
    with pytest.raises(ValueError, match="1 reports and labels of 2"):
        write_labels(tmp_path / "labels.csv", ["a"], codes[:1].repeat(2, axis=0))
