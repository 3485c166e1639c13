"""F1 over the fourteen classes, against hand counts and scikit-learn."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from eval.chexpert import (
    CLASSES,
    FIVE,
    Mention,
    class_table,
    f1_figures,
    label_columns,
    macro_f1,
    pooled_f1,
    slug,
    zero_support,
)
from eval.figures import Group
from tests.eval.shared_oracles import oracle

ROOT = Path(__file__).parents[2]
BLANK, POSITIVE, NEGATIVE, UNCERTAIN = range(4)
FIVE_COLUMNS = [CLASSES.index(name) for name in FIVE]
EDEMA = CLASSES.index("Edema")


def random_codes(seed, studies=60):
    chance = np.random.default_rng(seed)
    shares = chance.dirichlet([4, 2, 2, 1], size=len(CLASSES))
    return np.column_stack([chance.choice(4, size=studies, p=share) for share in shares]).astype(np.int8)


def figures_of(prediction, reference, prefix="chexbert"):
    return {f.name: f for f in f1_figures(label_columns(prediction, reference, prefix), prefix, "chexbert", "CheXbert")}


def only(column, codes):
    """Codes of one class, all others blank."""
    codes_of_all = np.zeros((len(codes), len(CLASSES)), dtype=np.int8)
    codes_of_all[:, column] = codes
    return codes_of_all


@pytest.mark.parametrize(("ending", "positives"), [("", [POSITIVE]), ("_uncertain_positive", [POSITIVE, UNCERTAIN])])
@pytest.mark.parametrize(("size", "columns"), [(14, list(range(14))), (5, FIVE_COLUMNS)])
def test_macro_and_micro_f1_are_those_of_scikit_learn_in_both_readings_of_uncertain(ending, positives, size, columns):
    prediction, reference = random_codes(1), random_codes(2)
    figures = figures_of(prediction, reference)
    said, true = np.isin(prediction, positives)[:, columns], np.isin(reference, positives)[:, columns]
    for average in ("macro", "micro"):
        expected = f1_score(true, said, average=average, zero_division=0)
        assert figures[f"chexbert_{average}_f1_{size}{ending}"].point() == pytest.approx(expected, abs=1e-12)


def test_the_two_readings_of_uncertain_and_the_two_sets_of_classes_give_different_figures():
    figures = figures_of(random_codes(1), random_codes(2))
    names = [
        f"chexbert_{a}_f1_{n}{u}" for a in ("macro", "micro") for n in (14, 5) for u in ("", "_uncertain_positive")
    ]
    assert len({round(figures[name].point(), 6) for name in names}) == 8


def test_uncertain_counts_as_negative_then_as_positive_in_an_example_counted_by_hand():
    # Edema:      study 0   1          2          3
    # prediction  positive  positive   uncertain  blank
    # reference   positive  uncertain  positive   uncertain
    prediction = only(EDEMA, [POSITIVE, POSITIVE, UNCERTAIN, BLANK])
    reference = only(EDEMA, [POSITIVE, UNCERTAIN, POSITIVE, UNCERTAIN])
    figures = figures_of(prediction, reference)
    # as negative: TP 1 (study 0), FP 1 (1), FN 1 (2): F1 = 2/4. As positive: TP 3, FN 1: F1 = 6/7.
    assert figures["chexbert_f1_edema"].point() == pytest.approx(1 / 2)
    assert figures["chexbert_macro_f1_14"].point() == pytest.approx(1 / 2 / 14)
    assert figures["chexbert_macro_f1_5"].point() == pytest.approx(1 / 2 / 5)
    assert figures["chexbert_macro_f1_14_uncertain_positive"].point() == pytest.approx(6 / 7 / 14)
    assert figures["chexbert_micro_f1_5_uncertain_positive"].point() == pytest.approx(6 / 7)


def test_the_class_table_is_that_of_scikit_learn():
    prediction, reference = random_codes(3), random_codes(4)
    precision, recall, f1, support = precision_recall_fscore_support(
        reference == POSITIVE, prediction == POSITIVE, zero_division=np.nan
    )
    table = class_table(label_columns(prediction, reference, "labels"), "labels")
    assert [row.name for row in table] == list(CLASSES)
    assert [row.support for row in table] == support.tolist()
    np.testing.assert_allclose([row.precision for row in table], precision, atol=1e-12)
    np.testing.assert_allclose([row.recall for row in table], recall, atol=1e-12)
    np.testing.assert_allclose([row.f1 for row in table], f1, atol=1e-12)
    assert [(row.tp, row.fp, row.fn) for row in table] == [
        (int((s & t).sum()), int((s & ~t).sum()), int((~s & t).sum()))
        for s, t in zip((prediction == POSITIVE).T, (reference == POSITIVE).T, strict=True)
    ]


def test_a_ratio_without_a_denominator_is_not_a_number_but_a_missed_class_is_zero():
    rows = {row.name: row for row in class_table(label_columns(only(4, [0, 0]), only(4, [1, 0]), "labels"), "labels")}
    assert np.isnan(rows["Edema"].precision)  # nothing was predicted
    assert (rows["Edema"].recall, rows["Edema"].f1) == (0.0, 0.0)
    assert np.isnan(rows["Fracture"].recall)
    assert np.isnan(rows["Fracture"].f1)


def test_a_class_without_any_positive_is_undefined_by_itself_and_zero_in_the_macro():
    # Edema right, Pneumonia only predicted, the other twelve nowhere.
    prediction, reference = only(EDEMA, [1, 0]), only(EDEMA, [1, 0])
    prediction[1, CLASSES.index("Pneumonia")] = POSITIVE
    figures = figures_of(prediction, reference)
    assert np.isnan(figures["chexbert_f1_fracture"].point())
    assert figures["chexbert_f1_pneumonia"].point() == 0.0
    assert figures["chexbert_macro_f1_14"].point() == pytest.approx(1 / 14)
    assert figures["chexbert_macro_f1_supported"].point() == 1.0  # Edema alone is in the reference
    assert figures["chexbert_f1_edema"].support == 1
    assert figures["chexbert_f1_pneumonia"].support == 0
    columns = label_columns(prediction, reference, "chexbert")
    assert zero_support(columns, "chexbert") == [name for name in CLASSES if name != "Edema"]


def test_an_uncertain_reference_does_not_support_a_class():
    columns = label_columns(only(EDEMA, [1, 1]), only(EDEMA, [UNCERTAIN, NEGATIVE]), "chexbert")
    assert "Edema" in zero_support(columns, "chexbert")


def test_without_any_positive_the_micro_f1_and_the_supported_macro_are_undefined():
    figures = figures_of(only(EDEMA, [0, 2]), only(EDEMA, [2, 0]))
    assert np.isnan(figures["chexbert_micro_f1_14"].point())
    assert np.isnan(figures["chexbert_macro_f1_supported"].point())
    assert figures["chexbert_macro_f1_14"].point() == 0.0


def test_a_study_without_labels_on_one_side_does_not_count():
    prediction, reference = random_codes(5), random_codes(6)
    kept = np.ones(len(prediction), dtype=bool)
    kept[[3, 10, 11]] = False
    whole = figures_of(prediction[kept], reference[kept])
    prediction[[3, 10]] = -1
    reference[[10, 11]] = -1
    for name, figure in figures_of(prediction, reference).items():
        assert figure.point() == pytest.approx(whole[name].point(), nan_ok=True)
        assert not figure.sums_ND[~kept].any()
        assert figure.support == whole[name].support


def test_figures_of_resamples_at_once_are_those_of_each_resample():
    # Sums with leading axes (the replicates of the bootstrap) must give scikit-learn's figure of each replicate.
    prediction, reference = random_codes(7), random_codes(8)
    figures = figures_of(prediction, reference)
    draws = np.random.default_rng(0).integers(0, len(prediction), size=(9, 6))  # six studies: classes drop out
    for average in ("macro", "micro"):
        figure = figures[f"chexbert_{average}_f1_14"]
        together = figure.value(figure.sums_ND[draws].sum(axis=1))
        expected = [
            f1_score(reference[draw] == POSITIVE, prediction[draw] == POSITIVE, average=average, zero_division=0)
            for draw in draws
        ]
        np.testing.assert_allclose(together, expected, atol=1e-12)


def test_macro_and_micro_f1_of_the_stored_oracle():
    stored = oracle("boot.f1.B500")
    true, said = (np.array(stored["input"][name], dtype=bool) for name in ("y", "pred"))
    counts_3C = np.stack([said & true, said & ~true, ~said & true]).sum(axis=1).astype(float)
    expected = stored["expected"]
    assert macro_f1(counts_3C.ravel()) == pytest.approx(expected["macro"]["point"], abs=1e-10)
    assert pooled_f1(counts_3C.sum(axis=1)) == pytest.approx(expected["micro"]["point"], abs=1e-10)
    np.testing.assert_allclose(np.nan_to_num(pooled_f1(counts_3C.T)), expected["per_class"], atol=1e-10)


def test_columns_hold_the_words_of_the_codes_and_none_for_a_study_without_labels():
    codes = only(EDEMA, [BLANK, POSITIVE, NEGATIVE, UNCERTAIN, BLANK])
    codes[4] = -1
    columns = label_columns(codes, np.zeros_like(codes), "labels")
    assert columns["labels_prediction_edema"].tolist() == ["blank", "positive", "negative", "uncertain", None]
    assert columns["labels_reference_pleural_effusion"].tolist() == ["blank"] * 5
    assert len(columns) == 28


def test_only_macro_f1_14_is_a_headline_and_every_class_has_its_figure():
    figures = figures_of(random_codes(1), random_codes(2), prefix="labels")
    assert [name for name, f in figures.items() if f.group is Group.HEADLINE] == ["labels_macro_f1_14"]
    in_classes = [name for name, f in figures.items() if f.group is Group.CLASS]
    assert in_classes == [f"labels_f1_{slug(name)}" for name in CLASSES]
    assert {f.metric for f in figures.values()} == {"chexbert"}
    assert figures["labels_f1_no_finding"].label == "CheXbert F1: No Finding"


@pytest.mark.parametrize(
    ("prediction", "reference", "message"),
    [
        (np.zeros((3, 14), int), np.zeros((2, 14), int), "3 predictions and 2 references"),
        (np.zeros((3, 13), int), np.zeros((3, 14), int), r"shape \(3, 13\)"),
        (np.zeros((3, 14)), np.zeros((3, 14), int), "float64"),
        (np.full((3, 14), 4), np.zeros((3, 14), int), r"codes \[4\]"),
        (np.zeros((3, 14), int), np.full((3, 14), -2), r"reference: codes \[-2\]"),
        (only(EDEMA, [0, -1]), only(EDEMA, [0, 0]), "row 1 has labels of 13 of the 14"),
    ],
)
def test_codes_that_are_no_labels_are_refused(prediction, reference, message):
    with pytest.raises(ValueError, match=message):
        label_columns(prediction, reference, "chexbert")


def test_columns_that_hold_no_labels_are_refused():
    none = np.full((2, 14), -1)
    with pytest.raises(ValueError, match="none of 2 studies has labels of both"):
        f1_figures(label_columns(none, random_codes(1, 2), "chexbert"), "chexbert", "chexbert", "CheXbert")
    columns = label_columns(random_codes(1, 2), random_codes(2, 2), "chexbert")
    with pytest.raises(ValueError, match="labels_prediction_edema"):
        f1_figures(columns, "labels", "labels", "Labels")
    columns["chexbert_reference_edema"] = np.array(["present", Mention.BLANK], dtype=object)
    with pytest.raises(ValueError, match="chexbert_reference: present: none of blank"):
        class_table(columns, "chexbert")
    columns["chexbert_reference_edema"] = np.array([None, Mention.BLANK], dtype=object)
    with pytest.raises(ValueError, match="row 0 has labels of 13"):
        zero_support(columns, "chexbert")


def test_figures_and_the_table_of_labels_need_no_torch():
    code = "import sys, eval.chexpert, eval.chexbert.csv_file; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"
