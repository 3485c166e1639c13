"""The same labels, ids and F1 as the original labeler and f1chexbert give with the tiny shared checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest

from eval.chexbert.labeler import load_chexbert
from eval.chexpert import CLASSES, FIVE, class_table, f1_figures, label_columns

TINY = Path(__file__).parents[3].parent / "shared" / "data" / "chexbert_tiny"
if not TINY.is_dir():
    pytest.skip("the shared tiny CheXbert is not here", allow_module_level=True)


@pytest.fixture(scope="module")
def oracle():
    return json.loads((TINY / "oracle.json").read_text())


@pytest.fixture(scope="module")
def labeler():
    return load_chexbert(TINY / "chexbert.pth")


@pytest.fixture(scope="module")
def columns(oracle, labeler):
    return label_columns(labeler.label_texts(oracle["hyps"]), labeler.label_texts(oracle["refs"]), "chexbert")


@pytest.mark.parametrize("side", ["hyp", "ref"])
def test_token_ids_are_those_of_the_original_tokenizer(oracle, labeler, side):
    assert [labeler.token_ids(text) for text in oracle[f"{side}s"]] == oracle[f"{side}_ids"]


@pytest.mark.parametrize("side", ["hyp", "ref"])
@pytest.mark.parametrize("batch_tokens", [1, 1000, None])
def test_every_label_is_the_original_labelers(oracle, labeler, side, batch_tokens):
    assert labeler.label_texts(oracle[f"{side}s"], batch_tokens=batch_tokens).tolist() == oracle[f"{side}_classes"]


@pytest.mark.parametrize("side", ["hyp", "ref"])
def test_logits_are_the_original_models_but_for_rounding(oracle, labeler, side):
    # Largest gap seen: 3e-5 of logits up to 20; the smallest margin between two classes is 6e-3.
    for row, expected in zip(labeler.logits(oracle[f"{side}_ids"]), oracle[f"{side}_logits"], strict=True):
        for head, values in zip(row.numpy(), expected, strict=True):
            np.testing.assert_allclose(head[: len(values)], values, atol=2e-4)


@pytest.mark.parametrize("reading", ["negative", "positive"])
@pytest.mark.parametrize("size", [14, 5])
def test_macro_and_micro_f1_are_the_oracles(oracle, columns, reading, size):
    assert (oracle["conditions"], oracle["five"]) == (list(CLASSES), list(FIVE))
    figures = {figure.name: figure.point() for figure in f1_figures(columns, "chexbert", "chexbert", "CheXbert")}
    ending = "_uncertain_positive" if reading == "positive" else ""
    expected = oracle[f"report_uncertain_{reading}_{size}"]
    for average in ("macro", "micro"):
        given = figures[f"chexbert_{average}_f1_{size}{ending}"]
        assert given == pytest.approx(expected[f"{average} avg"]["f1-score"], abs=1e-12)


def test_the_class_table_is_the_oracles(oracle, columns):
    expected = oracle["report_uncertain_negative_14"]
    for row in class_table(columns, "chexbert"):
        # The oracle writes 0 where a ratio has no denominator.
        given = np.nan_to_num([row.precision, row.recall, row.f1, row.support])
        assert given.tolist() == pytest.approx(list(expected[row.name].values()), abs=1e-12)
