"""Proves an installation in seconds: what this machine computes, against frozen values of reference implementations.

Each file of `oracles/` holds small invented `cases` and the values `expected` of them, measured once with rouge-score,
scikit-learn, scipy and plain loops over numpy (`tests/eval/make_oracles.py`), or derived by hand. A check computes the
values anew with the functions that the commands use. So another result means: this installation scores differently
from the one that was tested.
"""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval.chexpert import CLASSES, NO_LABELS, class_table, f1_figures, label_columns
from eval.figures import Figure, Floats, mean_figure
from eval.placement import placement_columns, placement_figures, placement_table
from eval.radfact.judgments import ReportPair, read_judgments, replay
from eval.radfact.score import count_failures, failure_bounds, radfact_columns, radfact_figures
from eval.rouge import rouge_l, rouge_l_scores
from eval.statistics.bootstrap import bootstrap, bootstrap_bca, replicate_values
from eval.statistics.curve_bootstrap import bootstrap_auprc, bootstrap_auroc
from eval.statistics.curves import auroc, average_precision, pr_trapezoid
from eval.statistics.hierarchical import Task, hierarchical_bootstrap
from eval.statistics.multiplicity import benjamini_hochberg, benjamini_yekutieli, bonferroni, holm
from eval.statistics.power_law import fit_power_law
from eval.statistics.ranks import friedman, mann_whitney, nemenyi
from eval.statistics.resampling import Resampling, Rng, unit_numbers
from eval.statistics.segmentation import dice, hausdorff, iou
from labeling.crosswalk import chexpert14
from labeling.rules.engine import RulesEngine
from labeling.runtime.ask import Policy
from labeling.schema import LabelRow
from labeling.texts import label_texts

Cases = Mapping[str, Any]
_TORCH = {"huggingface_hub", "tokenizers", "torch", "transformers"}  # of the extra "torch"


class Check(NamedTuple):
    """What one check found.

    passed: None where it could not be made, for the reason in `detail`. detail: how many values agree, or the first
    that does not, with what was expected. tolerance: largest difference allowed, absolute up to 1 and relative above;
    0 is equality to the last bit.
    """

    name: str
    passed: bool | None
    detail: str
    tolerance: float
    seconds: float


class _Kind(NamedTuple):
    name: str
    oracle: str
    tolerance: float
    values: Callable[[Cases], Any]  # of the oracle's cases, in the shape of what it expects


class _CannotCheck(Exception):  # noqa: N818 - no error: a part that was not installed
    pass


def run_checks() -> Iterator[Check]:
    """Make every check, one after the other; a check that breaks has failed, and the next is made all the same.

    Nothing is read but this installation, and nothing is left behind. Must not be called inside a running event loop.
    """
    return (_check(kind) for kind in _KINDS)


def _check(kind: _Kind) -> Check:
    start = time.perf_counter()
    passed: bool | None = False
    try:
        oracle = json.loads((resources.files("eval") / "oracles" / f"{kind.oracle}.json").read_text("utf-8"))
        pairs = list(_pairs(oracle["expected"], _plain(kind.values(oracle["cases"])), ""))
        wrong = [one for one in pairs if not _agree(*one[1:], kind.tolerance)]
        passed = bool(pairs) and not wrong
        detail = f"{len(pairs)} values agree"
        if wrong:
            where, expected, got = wrong[0]
            detail = f"{where}: expected {expected!r}, got {got!r} ({len(wrong)} of {len(pairs)} values are wrong)"
    except _CannotCheck as reason:
        passed, detail = None, str(reason)
    except Exception as error:  # whatever breaks on this machine is what a user must see
        detail = f"{type(error).__name__}: {error}"
    return Check(kind.name, passed, detail, kind.tolerance, time.perf_counter() - start)


def _pairs(expected: Any, got: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Each value with its place, what is expected and what came; where the shapes are not alike, the shapes."""
    if isinstance(expected, dict) and isinstance(got, dict):
        if expected.keys() != got.keys():
            yield f"{where} names".strip(), list(expected), list(got)
            return
        for name, value in expected.items():
            yield from _pairs(value, got[name], f"{where} {name}".strip())
    elif isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            yield f"{where} length".strip(), len(expected), len(got)
            return
        for place, value in enumerate(expected):
            yield from _pairs(value, got[place], f"{where}[{place}]")
    else:
        yield where, expected, got


def _agree(expected: Any, got: Any, tolerance: float) -> bool:
    if isinstance(expected, (int, float)) and isinstance(got, (int, float)):
        return abs(expected - got) <= tolerance * max(1.0, abs(expected))
    return bool(expected == got)


def _plain(value: Any) -> Any:
    """As JSON can say it: NaN is null, the infinite a word."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return str(value) if isinstance(value, str) else value  # an enum's word


def _rouge_l(cases: Cases) -> Any:
    return {
        "plain": rouge_l_scores(cases["pairs"]),
        "stemmed": rouge_l_scores(cases["pairs"], use_stemmer=True),
        "one pair": rouge_l(*cases["pairs"][0]),
    }


def _chexpert(cases: Cases) -> Any:
    prediction, reference = (
        np.array([[NO_LABELS if code == "-" else int(code) for code in row] for row in cases[side]], dtype=np.int8)
        for side in ("prediction", "reference")
    )
    columns = label_columns(prediction, reference, "chexbert")
    figures = f1_figures(columns, "chexbert", "chexbert", "CheXbert")
    return {
        "figures": {figure.name: figure.point() for figure in figures},
        "classes": {row.name: row[1:] for row in class_table(columns, "chexbert")},
    }


def _figures(cases: Cases) -> dict[str, Figure]:
    """A mean and a harmonic mean of two means, where not every study has each score."""
    first, second = (np.array(cases[name], dtype=np.float64) for name in ("first", "second"))
    harmonic = radfact_figures({"radfact_precision": first, "radfact_recall": second})[0]
    return {"mean": mean_figure("mean", "mean", "mean", first), "harmonic": harmonic}


def _reference_bootstrap(cases: Cases) -> Any:
    figures = _figures(cases)
    resampling = Resampling(cases["replicates"], cases["seed"], Rng.REFERENCE)
    return {
        unit: {
            name: found._asdict()
            for name, found in zip(figures, bootstrap([*figures.values()], resampling, numbers), strict=True)
        }
        for unit, numbers in (("studies", None), ("patients", unit_numbers(cases["patients"])))
    }


def _bca(cases: Cases) -> Any:
    resampling = Resampling(cases["replicates"], cases["seed"], Rng.REFERENCE)
    found = {}
    for name, figure in _figures(cases).items():
        interval = bootstrap_bca(figure, replicate_values([figure], resampling)[0])
        found[name] = None if interval is None else interval[:2]
    return found


def _fast_bootstrap(cases: Cases) -> Any:
    values = np.array(cases["values"], dtype=np.float64)
    mean = mean_figure("mean", "mean", "mean", values)
    # More columns than two are counted, not gathered, in float32 where they are whole numbers: both ways must agree.
    wide = Figure("wide", "wide", "wide", mean.group, _powers(values), lambda sums: sums[..., 0] / sums[..., 1])
    whole = Figure("whole", "whole", "whole", mean.group, _powers(np.floor(values)), lambda sums: sums[..., 2])
    resampling = Resampling(cases["replicates"], cases["seed"])
    patients = unit_numbers([str(place // cases["studies_of_patient"]) for place in range(len(values))])
    return {
        "studies": replicate_values([mean], resampling)[0],
        "studies, counted": replicate_values([wide], resampling)[0],
        "studies, whole numbers": replicate_values([whole], resampling)[0],
        "patients": replicate_values([mean], resampling, patients)[0],
    }


def _powers(values_N: Floats) -> Floats:
    return np.column_stack([values_N, values_N**2, values_N + 1])


def _curves(cases: Cases) -> Any:
    curves = {"average precision": average_precision, "AUROC": auroc, "PR trapezoid": pr_trapezoid}
    return {
        name: [curve(cases["labels"], cases["scores"], weights) for weights in (None, cases["weights"])]
        for name, curve in curves.items()
    }


def _curve_bootstrap(cases: Cases) -> Any:
    labels, scores = cases["labels"], cases["scores"]
    how: dict[str, Any] = {"seed": cases["seed"], "replicates": cases["replicates"]}
    return {
        "stratified AUPRC": bootstrap_auprc(labels, scores, **how).replicates_B,
        "iid AUROC": bootstrap_auroc(labels, scores, scheme="iid", **how).replicates_B,
        "patient AUPRC": bootstrap_auprc(
            labels, scores, scheme="patient", patient_ids_N=cases["patients"], **how
        ).replicates_B,
    }


def _hierarchical(cases: Cases) -> Any:
    tasks = [Task(np.array(one["labels"]), np.array(one["A"]), np.array(one["B"])) for one in cases["tasks"]]
    found = hierarchical_bootstrap(tasks, seed=cases["seed"], replicates=cases["replicates"], rng="reference")
    return {
        "tasks": [task._asdict() for task in found.tasks],
        "pooled": found.pooled._asdict(),
        "mean of tasks": found.mean_of_tasks._asdict(),
    }


def _ranks(cases: Cases) -> Any:
    return {
        "Friedman": [friedman(values)._asdict() for values in cases["folds"]],
        "Nemenyi": [nemenyi(values, larger_is_better=True)._asdict() for values in cases["folds"]],
        "Mann-Whitney": [mann_whitney(*groups)._asdict() for groups in cases["groups"]],
    }


def _multiplicity(cases: Cases) -> Any:
    corrections = (bonferroni, holm, benjamini_hochberg, benjamini_yekutieli)
    return {correction.__name__: correction(cases["p"]) for correction in corrections}


def _power_law(cases: Cases) -> Any:
    law = fit_power_law(cases["sizes"], cases["scores"], encoders_N=cases["encoders"])._asdict()
    return {name: law[name] for name in cases["names"]}


def _masks(cases: Cases) -> Any:
    found = []
    for one in cases["masks"]:
        masks = [np.array([list(row) for row in one[side]]) == "1" for side in ("reference", "prediction")]
        distance = hausdorff(masks[0], masks[1], spacing_mm=(one["spacing_mm"][0], one["spacing_mm"][1]))
        found.append({"Dice": dice(*masks), "IoU": iou(*masks), **distance._asdict()})
    return found


def _radfact(cases: Cases) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "judgments.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in cases["judgments"]), encoding="utf-8")
        studies = replay(read_judgments(path), [ReportPair(*one) for one in cases["pairs"]])
    columns, compat = radfact_columns(studies), radfact_columns(studies, "radfact")
    return {
        "figures": {figure.name: figure.point() for figure in radfact_figures(columns)},
        "figures, compat radfact": {figure.name: figure.point() for figure in radfact_figures(compat)},
        "failures": count_failures(columns)._asdict(),
        "bounds": failure_bounds(columns)._asdict(),
    }


def _label(texts: Sequence[str]) -> dict[str, LabelRow]:
    """Rows by the built-in rules through the store, as `score-reports` makes them; ids are "0", "1", ..."""
    with tempfile.TemporaryDirectory() as folder:
        rows, failures = asyncio.run(
            label_texts(
                {str(place): text for place, text in enumerate(texts)},
                store_folder=Path(folder),
                engine=RulesEngine(),
                policy=Policy(concurrency=1),
            )
        )
    if failures:
        raise ValueError(f"{len(failures)} of {len(texts)} texts were not labelled: {next(iter(failures.values()))}")
    return rows


def _placement(cases: Cases) -> Any:
    predictions, references = (_label([pair[side] for pair in cases["pairs"]]) for side in (0, 1))
    found = {}
    for name, by_side in (("devices", False), ("devices and sides", True)):
        columns = placement_columns(predictions, references, list(references), by_side=by_side)
        figures = {figure.name: figure.point() for figure in placement_figures(columns)}
        found[name] = {
            "tp, fp, fn": {one.device: [one.tp, one.fp, one.fn] for one in placement_table(columns)},
            "figures": {figure: figures[figure] for figure in cases["figures"]},
        }
    return found


def _crosswalk(cases: Cases) -> Any:
    rows = _label(cases["texts"]).values()
    return [
        {name: word for name, word in zip(CLASSES, chexpert14(row), strict=True) if word != "blank"} for row in rows
    ]


def _chexbert(cases: Cases) -> Any:
    try:
        import torch

        from eval.chexbert.labeler import load_chexbert
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in _TORCH:
            raise
        raise _CannotCheck(f"needs carina-cxr[torch]: no module {error.name}") from None
    weights = {
        f"module.{name}": torch.from_numpy(wave(number, shape))
        for number, (name, shape) in enumerate(cases["shapes"].items())
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "vocab.txt").write_text("\n".join(cases["vocabulary"]) + "\n", encoding="utf-8")
        (folder / "config.json").write_text(json.dumps(cases["config"]), encoding="utf-8")
        torch.save({"model_state_dict": weights}, folder / "whole.pth")
        labeler = load_chexbert(folder / "whole.pth")
        del weights[f"module.{cases['left_out']}"]
        torch.save({"model_state_dict": weights}, folder / "incomplete.pth")
        try:
            load_chexbert(folder / "incomplete.pth")
            refused = "loaded"
        except ValueError as error:
            refused = "refused" if cases["left_out"] in str(error) else str(error)
    return {
        "token ids": [labeler.token_ids(text) for text in cases["texts"]],
        "labels": labeler.label_texts(cases["texts"]),
        "logits": labeler.logits([labeler.token_ids(text) for text in cases["texts"]]).numpy(),
        "checkpoint without one tensor": refused,
    }


def wave(number: int, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Weights without a random generator: sin of 1.26 (i + 1)^2 + number, i the place in the flattened tensor."""
    place = np.arange(1, math.prod(shape) + 1, dtype=np.float64)
    return np.sin(1.26 * place**2 + number).astype(np.float32).reshape(shape)


_KINDS = (
    _Kind("ROUGE-L", "rouge_l", 0.0, _rouge_l),
    _Kind("CheXpert-14 F1", "chexpert", 1e-12, _chexpert),
    _Kind("bootstrap, reference stream", "reference_bootstrap", 1e-10, _reference_bootstrap),
    _Kind("bootstrap, fast stream", "fast_bootstrap", 1e-12, _fast_bootstrap),
    _Kind("BCa interval", "bca", 1e-10, _bca),
    _Kind("AUPRC and AUROC", "curves", 1e-12, _curves),
    _Kind("AUPRC and AUROC, bootstrap stream", "curve_bootstrap", 1e-12, _curve_bootstrap),
    _Kind("hierarchical bootstrap", "hierarchical", 1e-10, _hierarchical),
    _Kind("rank tests", "ranks", 1e-9, _ranks),
    _Kind("corrections for many tests", "multiplicity", 1e-12, _multiplicity),
    _Kind("power law", "power_law", 1e-10, _power_law),
    _Kind("Dice, IoU, Hausdorff", "masks", 1e-12, _masks),
    _Kind("RadFact scores", "radfact", 1e-12, _radfact),
    _Kind("Incorrect Placement F1, built-in rules", "placement", 1e-12, _placement),
    _Kind("CheXpert classes, built-in rules", "crosswalk", 0.0, _crosswalk),
    _Kind("CheXbert", "chexbert", 1e-4, _chexbert),
)
