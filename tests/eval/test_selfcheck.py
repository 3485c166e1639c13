import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import eval.chexbert.labeler
import eval.chexbert.model
import eval.chexpert
import eval.placement
import eval.radfact.score
import eval.rouge
import eval.selfcheck
import eval.statistics.bootstrap
import eval.statistics.curve_bootstrap
import eval.statistics.hierarchical
import eval.statistics.multinomial
import eval.statistics.power_law
import eval.statistics.ranks
import eval.statistics.resampling
import eval.statistics.segmentation
from eval.selfcheck import run_checks
from tests.eval.make_oracles import FOLDER, ORACLES, as_text

ROOT = Path(__file__).parents[2]
KINDS = {kind.name: kind for kind in eval.selfcheck._KINDS}


def check(name):
    return eval.selfcheck._check(KINDS[name])


def test_every_check_passes_and_says_how_much_it_compared():
    checks = list(run_checks())
    assert [(one.name, one.passed) for one in checks] == [(name, True) for name in KINDS], checks
    assert all(re.fullmatch(r"[1-9]\d* values agree", one.detail) for one in checks)
    assert all(one.seconds > 0 for one in checks)


def loads_anything(state, config_path, _):
    model = eval.chexbert.model.Chexbert(eval.chexbert.model.BertConfig.from_json_file(config_path))
    model.load_state_dict({name: tensor for name, tensor in state.items() if name in model.state_dict()}, strict=False)
    return model.eval()


def by_index(positive):
    """Draws the negatives first: the same distribution, another stream."""
    num_positive = int(positive.sum())

    def draw(rng):
        sizes = positive.size - num_positive, num_positive
        counts = [np.bincount(rng.choice(size, size), minlength=size).astype(np.uint8) for size in sizes]
        return counts[1], counts[0]

    return draw, eval.statistics.hierarchical._place_in_class(positive)


# check, what is made wrong, how, and a part of what must be said
WRONG = [
    ("ROUGE-L", "eval.rouge._TOKEN", re.compile(r"[a-z0-9.]+"), "plain"),
    ("ROUGE-L", "eval.rouge._TOKEN", re.compile(r"[^\W_]+"), "plain[8]"),  # "ß" is no part of a token
    ("ROUGE-L", "eval.rouge._MIN_STEMMED", 3, "stemmed"),
    ("CheXpert-14 F1", "eval.chexpert.macro_f1", eval.chexpert.supported_macro_f1, "chexbert_macro_f1_14:"),
    ("CheXpert-14 F1", "eval.chexpert.NO_LABELS", -2, "chexbert_macro_f1_14:"),  # failed labels count
    ("CheXpert-14 F1", "eval.chexpert.FIVE", ("Edema", "Pneumonia"), "chexbert_macro_f1_5:"),
    ("bootstrap, reference stream", "eval.statistics.bootstrap.unit_sums", lambda sums, _: sums, "patients mean"),
    ("bootstrap, fast stream", "eval.statistics.resampling._BLOCK", 32, "studies[32]"),
    ("bootstrap, fast stream", "numpy.random.SFC64", np.random.PCG64, "studies[0]"),
    ("BCa interval", "eval.statistics.bootstrap.ndtri", lambda share: np.zeros_like(share), "mean[0]"),
    ("AUPRC and AUROC", "eval.selfcheck.average_precision", eval.selfcheck.pr_trapezoid, "average precision[0]"),
    ("AUPRC and AUROC, bootstrap stream", "eval.statistics.multinomial.BLOCK_REPLICATES", 32, "stratified AUPRC[32]"),
    ("AUPRC and AUROC, bootstrap stream", "eval.statistics.multinomial.MAX_CELL_ITEMS", 4, "stratified AUPRC["),
    ("hierarchical bootstrap", "eval.statistics.hierarchical._reference_drawing", by_index, "tasks[0] mean"),
    ("rank tests", "eval.statistics.ranks._rank_error", lambda k, n: math.sqrt(k * k / (6 * n)), "Nemenyi[0] p_KK"),
    ("rank tests", "eval.statistics.ranks.EXACT_UP_TO", 2, "Mann-Whitney[0] p:"),
    ("corrections for many tests", "eval.selfcheck.holm", eval.selfcheck.bonferroni, "names"),
    ("corrections for many tests", "eval.statistics.multiplicity._back", lambda stepped, _: stepped, "holm[0]"),
    ("power law", "eval.statistics.power_law._average_seeds", lambda x, f, _: (x, f), "k:"),
    ("Dice, IoU, Hausdorff", "eval.statistics.segmentation._boundary", lambda mask: mask, "[2] hd_mm"),
    ("RadFact scores", "eval.radfact.score._f1", lambda sums: sums[..., 0] / sums[..., 1], "radfact_logical_f1"),
    ("RadFact scores", "eval.radfact.score.UNKNOWN_EVIDENCE", "another", "figures, compat radfact"),
    ("RadFact scores", "eval.radfact.judgments.text_sha256", lambda text: text, "ValueError"),
    ("Incorrect Placement F1, built-in rules", "labeling.rules.engine.read_lines_and_tubes", lambda *_: [], "picc"),
    ("Incorrect Placement F1, built-in rules", "eval.placement._IN_PLACE", frozenset(), "both_present_f1"),
    ("CheXpert classes, built-in rules", "labeling.crosswalk._BY_LABEL", {}, "[0] names"),
    ("CheXbert", "eval.chexbert.labeler.build_chexbert", loads_anything, "checkpoint without one tensor: expected 're"),
    ("CheXbert", "eval.chexbert.labeler.MAX_TOKENS", 6, "token ids[0] length: expected 9, got 6"),
]


@pytest.mark.parametrize(("name", "target", "wrong", "said"), WRONG, ids=[f"{one[0]}: {one[1]}" for one in WRONG])
def test_a_wrong_implementation_fails_its_check_with_the_value(monkeypatch, name, target, wrong, said):
    monkeypatch.setattr(target, wrong)
    eval.rouge.stemmed_tokens.cache_clear()
    found = check(name)
    eval.rouge.stemmed_tokens.cache_clear()
    assert found.passed is False, found
    assert said in found.detail
    assert "Error" in said or ("expected" in found.detail and "got" in found.detail)


def test_every_check_is_among_those_that_were_seen_to_fail():
    assert {one[0] for one in WRONG} == set(KINDS)


@pytest.mark.parametrize("name", ORACLES)
def test_the_shipped_oracles_are_those_that_the_reference_implementations_give(name):
    pytest.importorskip("sklearn")
    made, shipped = json.loads(as_text(ORACLES[name]())), json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    if name == "rouge_l":
        assert made == shipped
    assert made.keys() == shipped.keys()
    # Another machine's logarithm may differ in the last digit.
    pairs = list(eval.selfcheck._pairs(shipped, made, ""))
    assert [one for one in pairs if not eval.selfcheck._agree(*one[1:], 1e-13)] == []
    assert as_text(shipped) == (FOLDER / f"{name}.json").read_text("utf-8")


def test_the_folder_of_oracles_holds_one_file_a_check():
    assert {file.name for file in FOLDER.iterdir()} == {f"{kind.oracle}.json" for kind in KINDS.values()}
    assert {kind.oracle for kind in KINDS.values()} == set(ORACLES)


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_without_the_extra_torch_chexbert_is_skipped_with_the_reason_and_nothing_else():
    code = """
import sys
class Absent:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("huggingface_hub", "sklearn", "tokenizers", "torch", "transformers"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from eval.selfcheck import run_checks
for one in run_checks():
    if one.passed is not True:
        print(one.name, one.passed, one.detail)
"""
    assert run_python(code) == "CheXbert None needs carina-cxr[torch]: no module torch\n"


def test_importing_the_checks_loads_no_torch():
    assert run_python("import sys, eval.selfcheck; print('torch' in sys.modules, 'transformers' in sys.modules)") == (
        "False False\n"
    )


def test_a_missing_module_of_ours_is_a_failure_and_not_a_skip(monkeypatch):
    monkeypatch.setitem(sys.modules, "eval.chexbert.labeler", None)
    found = check("CheXbert")
    assert found.passed is False
    assert "ModuleNotFoundError" in found.detail


def test_a_check_that_breaks_has_failed_and_the_next_is_made_all_the_same(monkeypatch):
    def breaks(_):
        raise RuntimeError("no such instruction on this processor")

    first, second = KINDS["power law"]._replace(values=breaks), KINDS["power law"]._replace(oracle="lost")
    monkeypatch.setattr(eval.selfcheck, "_KINDS", (first, second, KINDS["power law"]))
    broken, lost, right = run_checks()
    assert (broken.passed, broken.detail) == (False, "RuntimeError: no such instruction on this processor")
    assert lost.passed is False
    assert "FileNotFoundError" in lost.detail
    assert right.passed is True


@pytest.mark.parametrize(
    ("expected", "got", "tolerance", "detail"),
    [
        (1.0, 1.0 + 1e-9, 1e-8, None),
        (1.0, 1.0 + 1e-7, 1e-8, "x: expected 1.0, got 1.0000001"),
        (1e6, 1e6 + 1e-3, 1e-8, None),  # relative above 1
        (0.0, 1e-7, 1e-8, "x: expected 0.0, got 1e-07"),
        (0.1 + 0.2, 0.3, 0.0, "x: expected 0.30000000000000004, got 0.3"),
        (None, math.nan, 1e-8, None),
        (None, 0.0, 1e-8, "x: expected None, got 0.0"),
        (0.5, math.nan, 1e-8, "x: expected 0.5, got None"),
        ("inf", math.inf, 1e-8, None),
        ("positive", "uncertain", 1.0, "x: expected 'positive', got 'uncertain'"),
        ([1, 2], np.array([1, 2]), 0.0, None),
        ([1, 2], (1, 3), 0.0, "x[1]: expected 2, got 3"),
        ([1, 2], [1], 0.0, "x length: expected 2, got 1"),
        ([1], 1, 0.0, "x: expected [1], got 1"),
        ({"a": 1}, {"b": 1}, 0.0, "x names: expected ['a'], got ['b']"),
        ({"a": {"b": [0, 1]}}, {"a": {"b": [0, 2]}}, 0.0, "x a b[1]: expected 1, got 2"),
    ],
)
def test_values_are_compared_to_the_tolerance_and_named_by_their_place(monkeypatch, expected, got, tolerance, detail):
    monkeypatch.setattr(eval.selfcheck.json, "loads", lambda _: {"cases": {}, "expected": {"x": expected}})
    found = check_of(lambda _: {"x": got}, tolerance)
    assert found.passed is (detail is None)
    assert detail is None or found.detail.startswith(detail + " (1 of ")


def check_of(values, tolerance):
    return eval.selfcheck._check(eval.selfcheck._Kind("x", "power_law", tolerance, values))


def test_a_check_that_compares_nothing_has_failed(monkeypatch):
    monkeypatch.setattr(eval.selfcheck.json, "loads", lambda _: {"cases": {}, "expected": {}})
    assert check_of(lambda _: {}, 0.0).passed is False


def test_nothing_is_left_behind(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert all(check(name).passed for name in KINDS)
    assert list(tmp_path.iterdir()) == []
