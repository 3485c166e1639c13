"""Builds `report.html`: what `scores.json` says, as a page to read and print, with the worst studies side by side.

The texts of reports are untrusted and are escaped; the page's own policy forbids scripts, and nothing is loaded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from eval.report import marks, svg
from eval.report.marks import Mark
from labeling.outputs import whole_file

_METRIC_NAMES = {
    "rouge_l": "ROUGE-L",
    "chexbert": "CheXbert",
    "labels": "CheXpert-14 (label-reports)",
    "radfact": "RadFact",
    "incorrect_placement": "Incorrect Placement",
}
_ABBREVIATIONS = {"cvc", "picc"}
_COUNT_NAMES = {
    "scored": "studies scored",
    "patients": "patients",
    "predictions": "generated reports",
    "references": "reference reports",
    "missing_predictions": "without generated report",
    "missing_references": "without reference",
    "empty_predictions": "empty generated",
    "empty_references": "empty reference",
}
_OPEN_PER_METRIC = 2  # worst studies shown unfolded


class StudyView(NamedTuple):
    """One study as the page shows it: both texts, its scores and what is marked in the texts.

    worst_by: the metric (or figure) for which the study is among the worst; studies of one metric stand together, in
    the order given.
    """

    study_id: str
    prediction: str
    reference: str
    scores: Mapping[str, float | None]
    marks: Sequence[Mark]
    worst_by: str


class _Interval(NamedTuple):
    """A number with its interval, as read from the scores; None is "not there"."""

    point: float | None
    median: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> _Interval:
        return cls(*(_number(raw.get(name)) for name in cls._fields))

    def is_share(self) -> bool:
        """Whether the number may be read as a percentage."""
        return all(0 <= value <= 1 for value in self if value is not None)


class _FigureRow(NamedTuple):
    """A figure of `scores.json` as the tables show it."""

    name: str
    label: str
    metric: str
    group: str
    support: int | None
    interval: _Interval
    degenerate_share: float
    by_unit: Mapping[str, _Interval]

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> _FigureRow:
        return cls(
            name=raw["name"],
            label=raw.get("label") or raw["name"],
            metric=raw.get("metric") or "",
            group=raw.get("group") or "detail",
            support=raw.get("support"),
            interval=_Interval.of(raw),
            degenerate_share=raw.get("degenerate_share") or 0.0,
            by_unit={unit: _Interval.of(part) for unit, part in (raw.get("intervals") or {}).items() if part},
        )

    def why_missing(self) -> str:
        """The reason for a figure, or for its interval, that is not there; empty when both are."""
        if self.interval.point is None:
            return "no positives in the references" if self.support == 0 else "undefined on these studies"
        if self.interval.low is None or self.interval.high is None:
            return "no interval: undefined in too many resamples" if self.degenerate_share else "no interval"
        if self.degenerate_share:
            return f"undefined in {_score(self.degenerate_share)}% of resamples"
        return ""


def build_report(scores: Mapping[str, Any], studies: Sequence[StudyView]) -> str:
    """Give the page's HTML.

    Args:
        scores: the content of `scores.json`; any part may be missing, and numbers that are None are shown as "n/a" with
            their reason.
        studies: those to show with their texts; none: the page says that texts were left out.

    Raises:
        ValueError: a mark does not lie in its text or has an unknown side or kind.
    """
    import jinja2  # here, since `--help` must not pay for it

    for study in studies:
        for mark in study.marks:
            if mark.side not in ("prediction", "reference"):
                raise ValueError(f"study {study.study_id}: unknown side of mark {mark.side!r}")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("eval.report", "."),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = [_FigureRow.of(raw) for raw in scores.get("figures") or ()]
    labels = {figure.name: figure.label for figure in figures}
    environment.filters.update(score=_score, count=_count, setting=_setting, readable=lambda name: _name(name, labels))
    environment.globals.update(
        axis_over=svg.axis_over,
        all_numbers=lambda rows: [value for row in rows if row.interval.is_share() for value in row.interval],
        axis_svg=svg.axis_svg,
        interval_svg=svg.interval_svg,
        bar_svg=svg.bar_svg,
        marked_text=marks.marked_text,
        in_order=marks.in_order,
        kind_words=marks.KIND_WORDS,
    )
    tables = _tables(scores.get("tables") or {}, {figure.name: figure.interval for figure in figures})
    in_tables = {name for table in tables for name in table.figure_names}
    headline = [figure for figure in figures if figure.group == "headline"]
    bootstrap = scores.get("bootstrap") or {}
    metrics = scores.get("metrics") or {}
    return environment.get_template("page.html.jinja").render(
        version=scores.get("carina_version"),
        counts={name: (scores.get("counts") or {}).get(name) for name in _COUNT_NAMES},
        count_names=_COUNT_NAMES,
        how=_how(bootstrap),
        interval_words=f"{bootstrap.get('confidence') or 0.95:.0%} interval",
        settings=_settings(scores, bootstrap, metrics, labels),
        metrics=metrics,
        not_computed=scores.get("not_computed") or {},
        headline=headline,
        further=[figure for figure in figures if figure.group != "headline" and figure.name not in in_tables],
        other_units=[figure for figure in headline if len(figure.by_unit) > 1],
        classes=[table for table in tables if table.key == "class"],
        devices=[table for table in tables if table.key == "device"],
        subgroups=_by_column(scores.get("subgroups") or ()),
        studies=_by_metric(studies),
        num_studies=len(studies),
        open_per_metric=_OPEN_PER_METRIC,
        marked=any(study.marks for study in studies),
    )


def write_report(path: Path, scores: Mapping[str, Any], studies: Sequence[StudyView]) -> None:
    """Write the page, whole or not at all, readable by its owner only since it may hold patients' texts.

    Raises:
        ValueError: as `build_report`; nothing is written then.
        OutputError: the folder is missing, read-only or full.
    """
    page = build_report(scores, studies)
    with whole_file(path) as file:
        Path(file.name).chmod(0o600)  # before anything is in it
        # half of a surrogate pair has no UTF-8: as a reference a browser shows it as U+FFFD
        file.write(page.encode("utf-8", "xmlcharrefreplace").decode("utf-8"))


def _how(bootstrap: Mapping[str, Any]) -> str:
    """How the intervals were made, in a sentence."""
    if not bootstrap:
        return "The scores do not say how their intervals were made."
    unit = {"patient": "patients", "study": "studies"}.get(bootstrap.get("unit", ""), "an unnamed unit")
    return (
        f"Medians and {bootstrap.get('confidence') or 0.95:.0%} percentile intervals from "
        f"{_count(bootstrap.get('replicates'))} bootstrap resamples of {unit}, seed {bootstrap.get('seed', 'n/a')}."
        + (f" Beware: {bootstrap['warning']}." if bootstrap.get("warning") else "")
    )


def _settings(
    scores: Mapping[str, Any], bootstrap: Mapping[str, Any], metrics: Mapping[str, Any], labels: Mapping[str, str]
) -> dict[str, Mapping[str, Any]]:
    run = {name: scores[name] for name in ("format", "carina_version") if name in scores}
    return {
        "Run": run,
        "Bootstrap": bootstrap,
        **{_name(metric, labels): part.get("settings") or {} for metric, part in metrics.items()},
    }


class _Table(NamedTuple):
    """One metric by class or by device; intervals: of each row's F1, None where no figure gives it."""

    metric: str
    key: str
    rows: Sequence[Mapping[str, Any]]
    intervals: Sequence[_Interval | None]
    figure_names: Sequence[str]


def _tables(tables: Mapping[str, Sequence[Mapping[str, Any]]], figures: Mapping[str, _Interval]) -> list[_Table]:
    """The tables `<metric>_classes` and `placement_devices`, each row with the interval of its own F1's figure."""
    found = []
    for name, rows in tables.items():
        key = "device" if name == "placement_devices" else "class"
        metric = "incorrect_placement" if key == "device" else name.removesuffix("_classes")
        names = [f"{metric}_f1_{str(row[key]).lower().replace(' ', '_')}" for row in rows]
        if rows:
            found.append(_Table(metric, key, rows, [figures.get(own) for own in names], names))
    return found


class _Level(NamedTuple):
    """The studies with one value of a metadata column. The median of a gap is not kept, hence None."""

    value: str
    studies: int | None
    small: bool
    interval: _Interval
    gap: _Interval
    reference: bool

    @property
    def gap_is_clear(self) -> bool:
        low, high = self.gap.low, self.gap.high
        return low is not None and high is not None and (low > 0 or high < 0)


class _Block(NamedTuple):
    """One figure over the levels of one column."""

    figure: str
    levels: Sequence[_Level]
    share: bool
    numbers: Sequence[float | None]


def _by_column(subgroups: Iterable[Mapping[str, Any]]) -> dict[str, list[_Block]]:
    columns: dict[str, list[_Block]] = {}
    for raw in subgroups:
        levels = raw.get("levels") or ()
        # The level that all are compared with has no gap in any resample. A second such level can only be one with the
        # same figure in all of them, a smaller one.
        without_gap = [one for one in levels if all(one.get(key) == 0 for key in ("gap", "gap_low", "gap_high"))]
        reference = max(without_gap, key=lambda one: one.get("studies") or 0, default=None)
        rows = [
            _Level(
                one.get("value", "n/a"),
                one.get("studies"),
                bool(one.get("small")),
                _Interval.of(one),
                _Interval(_number(one.get("gap")), None, _number(one.get("gap_low")), _number(one.get("gap_high"))),
                one is reference,
            )
            for one in levels
        ]
        numbers = [value for row in rows for value in row.interval]
        share = all(row.interval.is_share() for row in rows)
        columns.setdefault(raw["column"], []).append(_Block(raw["figure"], rows, share, numbers))
    return columns


def _by_metric(studies: Sequence[StudyView]) -> dict[str, list[StudyView]]:
    groups: dict[str, list[StudyView]] = {}
    for study in studies:
        groups.setdefault(study.worst_by, []).append(study)
    return groups


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    return float(value) if value is not None and math.isfinite(value) else None


def _score(value: float | int | None, share: bool = True, signed: bool = False) -> str:
    """A score of 0 to 1 in percent with one decimal, another number with four digits; "n/a" where there is none."""
    if value is None or not math.isfinite(value):
        return "n/a"
    text = f"{value * 100:.1f}" if share else f"{value:.4g}"
    if float(text) == 0:
        return text.removeprefix("-")
    return text.replace("-", "\N{MINUS SIGN}") if value < 0 else ("+" * signed + text)


def _count(value: int | None) -> str:
    return "n/a" if value is None else f"{value:,}"


def _setting(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _name(name: str, labels: Mapping[str, str]) -> str:
    """What a person reads for the name of a figure, metric or column."""
    if name in labels and name not in _METRIC_NAMES:
        return labels[name]
    for metric, title in _METRIC_NAMES.items():
        if name == metric or name.startswith(metric + "_"):
            return f"{title} {name[len(metric) :].replace('_', ' ').strip()}".strip()
    words = name.replace("_", " ").split(" ")
    words = [word.upper() if word in _ABBREVIATIONS else word for word in words]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])
