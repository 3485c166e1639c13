"""Measures the rules engine's findings on the Open-i development labels: F1 per class, beside a plain keyword baseline.

    python benchmarks/openi_accuracy.py negbio_gold_dev.csv NLMCXR_reports.tgz --mesh mesh_to_19_findings.json

The gold (NegBio's, for 14 classes) follows the MeSH codes of each report's indexers; with --mesh the codes themselves
are also compared, for those of the 19 findings that have codes. A class counts as present when any of its labels is
positive; "+unc" counts uncertain ones too. Report texts (CC BY-NC-ND 4.0) are read, never copied: disagreements are
printed as ids. Verdicts on them are in `openi_verdicts.csv`.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from math import isnan
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a checkout

from labeling.rules import findings
from labeling.vocabulary import LABELS
from studies.report_text import split_sentences

HEADLINE = {"Cardiomegaly": 0.95, "Atelectasis": 0.93, "Effusion": 0.90, "Pneumothorax": 0.90, "Edema": 0.85}
VERDICTS = Path(__file__).with_name("openi_verdicts.csv")

# class of the gold -> our labels
GOLD_LABELS: dict[str, tuple[str, ...]] = {
    "Cardiomegaly": ("cardiomegaly",),
    "Atelectasis": ("atelectasis",),
    "Effusion": ("pleural_effusion",),
    "Pneumothorax": ("pneumothorax",),
    "Edema": ("pulmonary_edema",),
    "Consolidation": ("consolidation",),
    "Infiltration": ("infiltrate",),
    "Pneumonia": ("pneumonia",),
    "Nodule": ("nodule",),
    "Mass": ("mass",),
    "Emphysema": ("emphysema",),  # COPD is read as emphysema, the gold keeps it apart
    "Fibrosis": ("pulmonary_fibrosis",),
    "Pleural_Thickening": ("pleural_thickening",),
    "Hernia": ("hernia",),
}
_KEYWORDS: dict[str, str] = {
    "Cardiomegaly": r"cardiomegaly|enlarged (?:heart|cardiac)|"
    r"(?:heart|cardiac silhouette)(?: size)? is (?:\w+ )?enlarged",
    "Atelectasis": r"atelecta",
    "Effusion": r"effusion",
    "Pneumothorax": r"pneumothora",
    "Edema": r"edema",
    "Consolidation": r"consolidat",
    "Infiltration": r"infiltrat",
    "Pneumonia": r"pneumonia",
    "Nodule": r"nodule|nodular",
    "Mass": r"\bmass\b|\bmasses\b",
    "Emphysema": r"emphysema",
    "Fibrosis": r"fibrosis|fibrotic",
    "Pleural_Thickening": r"pleural thickening",
    "Hernia": r"hernia",
}
_NEGATED = re.compile(r"\b(?:no|not|without|free of|negative|clear of|resolved)\b", re.IGNORECASE)


class Report(NamedTuple):
    report_id: str
    text: str
    mesh: tuple[str, ...]


class Score(NamedTuple):
    true: int
    false: int
    missed: int

    @property
    def precision(self) -> float:
        found = self.true + self.false
        return self.true / found if found and self.true + self.missed else float("nan")

    @property
    def recall(self) -> float:
        return self.true / (self.true + self.missed) if self.true + self.missed else float("nan")

    @property
    def f1(self) -> float:
        """Not a number where the gold has no positives: there is nothing to find, whatever was found."""
        positives = self.true + self.missed
        return 2 * self.true / (positives + self.true + self.false) if positives else float("nan")


def read_reports(archive: Path, wanted: Mapping[str, object]) -> list[Report]:
    """Give the wanted reports of the archive (`CXR12` is 12.xml): findings and impression, and MeSH codes."""
    reports = []
    with tarfile.open(archive) as tar:
        for member in tar:
            report_id = f"CXR{Path(member.name).stem}"
            file = tar.extractfile(member) if member.name.endswith(".xml") and report_id in wanted else None
            if file is None:
                continue
            root = ElementTree.fromstring(file.read())
            parts = {node.get("Label"): (node.text or "") for node in root.iter("AbstractText")}
            text = f"FINDINGS: {parts.get('FINDINGS', '')}\n\nIMPRESSION: {parts.get('IMPRESSION', '')}\n"
            reports.append(Report(report_id, text, tuple(node.text or "" for node in root.iter("major"))))
    return sorted(reports, key=lambda report: int(report.report_id[3:]))


def keyword_classes(text: str) -> set[str]:
    """The baseline: a keyword in a sentence without a negation word before it."""
    found = set()
    for sentence in re.split(r"(?<=[.;])\s+", text.lower()):
        for name, pattern in _KEYWORDS.items():
            hit = re.search(pattern, sentence)
            if hit and not _NEGATED.search(sentence[: hit.start()]):
                found.add(name)
    return found


def stated(text: str) -> dict[str, set[str]]:
    """Label -> the assertions it gets in a report."""
    said: dict[str, set[str]] = {}
    for entry in findings.read_findings(split_sentences(text)):
        said.setdefault(entry["label"], set()).add(entry["assertion"])
    return said


def score(gold: Mapping[str, bool], ours: Callable[[str], bool]) -> tuple[Score, list[str], list[str]]:
    """Counts, and the ids of what was found in vain and of what was missed."""
    false = [key for key, value in gold.items() if not value and ours(key)]
    missed = [key for key, value in gold.items() if value and not ours(key)]
    return Score(sum(gold.values()) - len(missed), len(false), len(missed)), false, missed


def _figure(value: float, width: int) -> str:
    return f"{'n/a':>{width}}" if isnan(value) else f"{value:{width}.3f}"


def _line(name: str, positives: int, base: Score | None, plain: Score, hedged: Score) -> str:
    target = f"{HEADLINE[name]:.2f}" if name in HEADLINE else ""
    baseline = _figure(base.f1, 8) if base else " " * 8
    return (
        f"{name:32s} {positives:5d} {baseline} {_figure(plain.f1, 7)} {target:>6s} {_figure(plain.precision, 7)} "
        f"{_figure(plain.recall, 7)} {_figure(hedged.f1, 9)}"
    )


def _time(texts: list[str]) -> None:
    split = [split_sentences(text) for text in texts]
    findings.read_findings(split[0])
    for name, reader in (("no sentence remembered", findings.read_sentence), ("remembering", None)):
        kept = findings.remembered_sentence
        if reader is not None:
            findings.remembered_sentence = reader  # type: ignore[assignment]
        start = time.process_time()
        for sentences in split:
            findings.read_findings(sentences)
        spent = time.process_time() - start
        findings.remembered_sentence = kept
        count = sum(map(len, split))
        print(f"{name}: {1e6 * spent / len(split):.0f} us a report of {count / len(split):.1f} sentences")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gold", type=Path, help="NegBio's gold as CSV: filename, then one 0/1 column a class")
    parser.add_argument(
        "reports", type=Path, help="NLMCXR_reports.tgz, as packed in torchxrayvision or on openi.nlm.nih.gov"
    )
    parser.add_argument("--mesh", type=Path, help="JSON: name of one of the 19 findings -> regex on MeSH codes")
    parser.add_argument("--list", action="store_true", help="print the ids of the disagreements of every class")
    parser.add_argument(
        "--show", metavar="CLASS", help="print the texts of a class's disagreements (for your eyes only)"
    )
    arguments = parser.parse_args()
    for path in (arguments.gold, arguments.reports, arguments.mesh):
        if path is not None and not path.is_file():
            print(f"{path}: no such file; see --help for what is needed and where it comes from", file=sys.stderr)
            return 2
    with arguments.gold.open(newline="") as file:
        gold = {row["filename"]: row for row in csv.DictReader(file)}
    reports = read_reports(arguments.reports, gold)
    texts = {report.report_id: report.text for report in reports}
    said = {report.report_id: stated(report.text) for report in reports}
    base = {report.report_id: keyword_classes(report.text) for report in reports}
    print(f"{len(reports)} reports of {len(gold)} in the gold\n")
    print(
        f"{'class':32s} {'n':>5s} {'keyword':>8s} {'F1':>7s} {'target':>6s} {'prec':>7s} {'recall':>7s} {'F1 +unc':>9s}"
    )

    def has(labels: tuple[str, ...], *assertions: str) -> Callable[[str], bool]:
        return lambda key: any(said[key].get(label, set()) & set(assertions) for label in labels)

    disagreements: dict[str, tuple[list[str], list[str]]] = {}
    for name, labels in GOLD_LABELS.items():
        truth = {key: gold[key][name] == "1" for key in texts}
        plain, false, missed = score(truth, has(labels, "positive"))
        hedged, _, _ = score(truth, has(labels, "positive", "uncertain"))
        keyword, _, _ = score(truth, lambda key, name=name: name in base[key])  # type: ignore[misc]
        disagreements[name] = (false, missed)
        print(_line(name, sum(truth.values()), keyword, plain, hedged))
    if arguments.mesh:
        print("\nagainst the MeSH codes themselves (many observations are never coded: precision is a lower bound)")
        for name, pattern in json.loads(arguments.mesh.read_text()).items():
            labels = _labels_of(name)
            code = re.compile(pattern)
            truth = {report.report_id: any(code.search(term) for term in report.mesh) for report in reports}
            if name == "No Finding":  # the code is given to reports in which nothing is abnormal
                truth = {key: gold[key]["normal"] == "1" for key in texts}
                plain, false, missed = score(truth, lambda key: not _abnormal(said[key], "positive", "uncertain"))
                hedged, _, _ = score(truth, lambda key: not _abnormal(said[key], "positive"))
            else:
                plain, false, missed = score(truth, has(labels, "positive"))
                hedged, _, _ = score(truth, has(labels, "positive", "uncertain"))
            disagreements[f"mesh:{name}"] = (false, missed)
            print(_line(name, sum(truth.values()), None, plain, hedged))
    _print_verdicts({name: disagreements[name] for name in HEADLINE})
    print()
    _time(list(texts.values()))
    if arguments.list:
        for name, (false, missed) in disagreements.items():
            print(
                f"\n{name}\n  found, not in the gold: {' '.join(false)}\n  in the gold, not found: {' '.join(missed)}"
            )
    if arguments.show:
        for kind, keys in zip(
            ("found, not in the gold", "in the gold, not found"), disagreements[arguments.show], strict=True
        ):
            for key in keys:
                print(f"\n[{kind}] {key}\n{texts[key]}")
    return 0


def _labels_of(mesh_name: str) -> tuple[str, ...]:
    """The labels that roll up to a name of the MeSH map."""
    special = {"Osseous Abnormalities": "osseous_abnormality", "Subcutaneous Air/Emphysema": "subcutaneous_emphysema"}
    key = special.get(mesh_name, mesh_name.lower().replace(" pattern", "").replace(" ", "_"))
    labels = tuple(label for label, info in LABELS.items() if info.finding is not None and info.finding.value == key)
    return (*labels, "rib_fracture") if key == "osseous_abnormality" else labels


def _abnormal(said: Mapping[str, set[str]], *assertions: str) -> bool:
    """Whether any label but no_finding has one of these assertions."""
    return any(label != "no_finding" and given & set(assertions) for label, given in said.items())


def _print_verdicts(disagreements: Mapping[str, tuple[list[str], list[str]]]) -> None:
    """Count the judged disagreements that still stand, and those nobody has judged."""
    if not VERDICTS.is_file():
        return
    with VERDICTS.open(newline="") as file:
        verdicts = {(row["class"], row["report_id"]): row["verdict"] for row in csv.DictReader(file)}
    print("\ndisagreements with the gold, judged one by one")
    for name, (false, missed) in disagreements.items():
        counts = Counter(verdicts.get((name, key), "not judged") for key in (*false, *missed))
        print(f"  {name:14s} " + ", ".join(f"{verdict}: {count}" for verdict, count in sorted(counts.items())))


if __name__ == "__main__":
    sys.exit(main())
