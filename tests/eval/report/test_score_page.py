"""What the page says, read back with an HTML parser."""

from __future__ import annotations

import stat
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.report.marks import KIND_WORDS, Mark, marked_text, segments
from eval.report.page import StudyView, build_report, write_report
from eval.report.svg import Axis, axis_over, axis_svg, bar_svg, interval_svg


class Element:
    def __init__(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tag, self.attributes, self.text = tag, attributes, ""

    def has_class(self, name: str) -> bool:
        return name in (self.attributes.get("class") or "").split()


class Page(HTMLParser):
    """All elements of a page in their order, each with the whole text inside it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))
        if tag != "meta":
            self._open.append(self.elements[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, css_class: str = "") -> list[Element]:
        return [one for one in self.elements if one.tag == tag and (not css_class or one.has_class(css_class))]

    def rows(self) -> list[list[str]]:
        """The cells' texts of each table row."""
        rows: list[list[str]] = []
        for one in self.elements:
            if one.tag == "tr":
                rows.append([])
            elif one.tag in ("td", "th"):
                rows[-1].append(" ".join(one.text.split()))
        return rows

    def row(self, name: str) -> list[str]:
        (found,) = [row for row in self.rows() if row and row[0] == name]
        return found


def figure(**given: Any) -> dict[str, Any]:
    numbers = {"point": 0.386, "median": 0.3874, "low": 0.375, "high": 1.0}
    return {"name": "rouge_l", "label": "ROUGE-L", "metric": "rouge_l", "group": "headline", "support": None} | (
        numbers | given
    )


def study(**given: Any) -> StudyView:
    values: dict[str, Any] = {
        "study_id": "s1", "prediction": "No effusion.", "reference": "Effusion.", "scores": {}, "marks": (),
        "worst_by": "rouge_l",
    }  # fmt: skip
    return StudyView(**(values | given))


def build(scores: dict[str, Any], *studies: StudyView) -> Page:
    return Page(build_report(scores, studies))


def test_a_figure_is_shown_in_percent_as_point_median_and_interval() -> None:
    assert build({"figures": [figure()]}).row("ROUGE-L")[1:4] == ["38.6", "38.7", "[37.5, 100.0]"]


def test_a_number_that_is_no_share_is_shown_as_it_is_and_off_the_axis() -> None:
    page = build({"figures": [figure(point=2.64, median=2.641, low=2.5, high=2.75)]})
    assert page.row("ROUGE-L")[1:] == ["2.64", "2.641", "[2.5, 2.75]", "not a share: not on this axis"]
    assert not page.all("svg", "plot")


def test_what_is_not_there_is_na_with_its_reason_and_never_zero() -> None:
    nothing = {"point": None, "median": None, "low": None, "high": None}
    page = build(
        {
            "figures": [
                figure(label="A", support=0, **nothing),
                figure(label="B", **nothing),
                figure(label="C", **(nothing | {"point": 0.5}), degenerate_share=1.0),
                figure(label="D", degenerate_share=0.021),
                figure(label="E", **nothing | {"point": float("nan")}),
            ],
            "not_computed": {"radfact": "needs a language model"},
            "metrics": {"rouge_l": {"failure_rate": None, "excluded": 3}},
        }
    )
    absent = ["n/a", "n/a", "n/a", ""]
    assert page.row("A no positives in the references")[1:] == absent
    assert page.row("B undefined on these studies")[1:] == absent
    assert page.row("C no interval: undefined in too many resamples")[1:4] == ["50.0", "n/a", "n/a"]
    assert page.row("D undefined in 2.1% of resamples")[1] == "38.6"
    assert page.row("E undefined on these studies")[1:] == absent
    assert [row[1:] for row in page.rows() if row[0] == "RadFact"] == [
        ["n/a", "not computed: needs a language model"],
        ["–", "–", "not computed: needs a language model"],
    ]
    assert ["ROUGE-L", "3", "–", "–"] in page.rows()


def test_a_page_of_nothing_says_that_nothing_is_there() -> None:
    page = build({})
    (body,) = page.all("body")
    for words in ("No figure was computed", "texts of reports were left out", "do not say how", "not a medical device"):
        assert words.lower() in body.text.lower()
    assert "holds the texts" not in body.text
    assert not page.all("svg")


def test_the_header_counts_and_names_the_resamples() -> None:
    page = build(
        {
            "counts": {"scored": 1244, "patients": None, "missing_predictions": 6, "empty_references": 0},
            "bootstrap": {"replicates": 1000, "seed": 7, "unit": "study", "confidence": 0.9},
        }
    )
    assert page.all("p", "lead")[0].text == (
        "Medians and 90% percentile intervals from 1,000 bootstrap resamples of studies, seed 7."
    )
    (counts,) = page.all("dl")
    assert counts.text.split("\n")[1:-1] == [
        "studies scored1,244", "patientsn/a", "without generated report6", "empty reference0",
    ]  # fmt: skip


def test_notes_settings_and_every_resampling_unit_are_shown() -> None:
    intervals = {
        "patient": {"median": 0.4, "low": 0.2, "high": 0.6},
        "study": {"median": 0.41, "low": 0.3, "high": 0.5},
    }
    page = build(
        {
            "format": "carina-scores/1",
            "bootstrap": {"seed": 0},
            "metrics": {
                "rouge_l": {
                    "settings": {"use_stemmer": False, "weights": "ab" * 32, "variants": ["a", "é"]},
                    "notes": ["First note.", "Second note."],
                    "excluded": 1,
                    "failure_rate": 0.0125,
                }
            },
            "figures": [figure(intervals=intervals)],
        }
    )
    rows = page.rows()
    for row in (
        ["format", "carina-scores/1"],
        ["seed", "0"],
        ["use_stemmer", "false"],
        ["weights", "ab" * 32],
        ["variants", '["a", "é"]'],
        ["ROUGE-L", "1", "1.2", "First note.Second note."],
        ["ROUGE-L", "Patient", "40.0", "[20.0, 60.0]"],
        ["Study", "41.0", "[30.0, 50.0]"],
    ):
        assert row in rows


def test_tables_take_the_intervals_of_their_figures_and_other_figures_go_to_the_further_ones() -> None:
    edema = {"class": "Edema", "support": 4, "tp": 3, "fp": 2, "fn": 1, "precision": 0.6, "recall": 0.75, "f1": 2 / 3}
    other = {"class": "Pleural Other", "support": 0, "tp": 0, "fp": 0, "fn": 0}
    picc = {"device": "picc", "support": 2, "predicted": 1, "tp": 1, "fp": 0, "fn": 1}
    page = build(
        {
            "tables": {
                "chexbert_classes": [edema, other],
                "labels_classes": [],
                "placement_devices": [picc | {"precision": 1.0, "recall": 0.5, "f1": 2 / 3}],
            },
            "figures": [
                figure(
                    name="chexbert_f1_edema", label="CheXbert F1: Edema", group="class", point=2 / 3, low=0.25, high=0.9
                ),
                figure(name="chexbert_f1_fracture", label="Fracture", group="class"),
                figure(name="labels_f1_edema", label="Other Edema", group="class"),
                figure(name="incorrect_placement_f1_picc", group="device", low=0.1, high=0.7),
            ],
        }
    )
    assert page.row("Edema") == ["Edema", "4", "3", "2", "1", "60.0", "75.0", "66.7", "[25.0, 90.0]", ""]
    assert page.row("Pleural Other no positives in the references")[1:] == [*"0000", *["n/a"] * 4, ""]
    assert page.row("PICC") == ["PICC", "2", "1", "1", "0", "1", "100.0", "50.0", "66.7", "[10.0, 70.0]", ""]
    assert [one.text for one in page.all("summary")] == ["Further figures (2)"]
    assert page.row("Fracture")[1] == page.row("Other Edema")[1] == "38.6"
    assert [one.text for one in page.all("h3")] == ["CheXbert"]


def test_subgroups_show_signed_gaps_to_the_reference_level() -> None:
    none = {"gap": 0.0, "gap_low": 0.0, "gap_high": 0.0}
    levels = [
        {"value": "F", "studies": 600, "point": 0.4, "low": 0.3, "high": 0.5} | none,
        {"value": "M", "studies": 500, "point": 0.35, "low": 0.3, "high": 0.42}
        | {"gap": -0.05, "gap_low": -0.09, "gap_high": -0.01},
        {"value": "O", "studies": 9, "point": 0.5, "low": None, "high": None, "small": True}
        | {"gap": 0.1, "gap_low": 0.0, "gap_high": 0.2},
        {"value": "U", "studies": 1, "point": None, "low": None, "high": None}
        | {"gap": None, "gap_low": None, "gap_high": None},
        {"value": "X", "studies": 2, "point": 0.4, "low": 0.4, "high": 0.4} | none,
    ]
    page = build({"figures": [figure()], "subgroups": [{"column": "age_band", "figure": "rouge_l", "levels": levels}]})
    assert page.row("F") == ["F", "600", "40.0", "[30.0, 50.0]", "", "reference level"]
    assert page.row("M") == ["M", "500", "35.0", "[30.0, 42.0]", "", "−5.0", "[−9.0, −1.0]"]
    assert page.row("O few studies")[2:] == ["50.0", "n/a", "", "+10.0", "[0.0, +20.0]"]
    assert page.row("U undefined on these studies")[2:] == ["n/a", "n/a", "", "n/a", "n/a"]
    assert page.row("X")[-2:] == ["0.0", "[0.0, 0.0]"]  # a second level without a gap is not the reference
    assert [one.text for one in page.all("td", "strong") if one.text[0] in "+−"] == ["−5.0"]
    assert "Age band" in [one.text for one in page.all("h3")]
    assert [row[0] for row in page.rows() if "Gap" in row] == ["ROUGE-L"]


def test_the_worst_studies_stand_by_metric_with_the_first_ones_open() -> None:
    studies = [study(study_id=f"r{i}") for i in range(3)] + [study(study_id="p", worst_by="incorrect_placement")]
    page = build({}, studies[0], studies[3], studies[1], studies[2])
    folds = [(one.text.split()[0], "open" in one.attributes) for one in page.all("details", "study")]
    assert folds == [("r0", True), ("r1", True), ("r2", False), ("p", True)]
    assert [one.text for one in page.all("h3")] == ["By ROUGE-L", "By Incorrect Placement"]
    assert [one.text for one in page.all("h4")[:2]] == ["Reference", "Generated"]
    assert "holds the texts of 4 studies" in page.all("footer")[0].text


def test_chips_show_shares_in_percent_counts_as_counts_and_gaps_as_na() -> None:
    scores = {"rouge_l": 0.214, "radfact_recall": None, "chexbert_labels_wrong": 1, "own_score": 0.5}
    chips = build({"figures": [figure(name="own_score", label="Own")]}, study(scores=scores)).all("span", "chip")
    assert [chip.text for chip in chips] == [
        "ROUGE-L 21.4",
        "RadFact recall n/a",
        "CheXbert labels wrong 1",
        "Own 50.0",
    ]


def test_whatever_comes_from_outside_is_text() -> None:
    bad = "</title></style></div><script>alert(1)</script><img src=x onerror=alert(1)>\"'>"
    scores = {
        "carina_version": bad,
        "counts": {"scored": 1},
        "bootstrap": {"unit": bad, bad: bad, "seed": bad},
        "metrics": {bad: {"settings": {bad: bad}, "notes": [bad]}},
        "not_computed": {bad: bad},
        "figures": [figure(name=bad, label=bad, intervals={bad: {"low": 0.1}, "study": {"low": 0.1}})],
        "tables": {
            "chexbert_classes": [{"class": bad, "support": 1, "f1": 0.5}],
            "placement_devices": [{"device": bad, "support": 1, "f1": 0.5}],
        },
        "subgroups": [{"column": bad, "figure": bad, "levels": [{"value": bad, "studies": 1, "point": 0.5}]}],
    }
    marks = (Mark("prediction", 0, 20, "unsupported", bad), Mark("reference", 5, 30, "missed", bad))
    page = build(
        scores, study(study_id=bad, prediction=bad, reference=bad, scores={bad: 0.5}, marks=marks, worst_by=bad)
    )
    assert not {"script", "img"} & {one.tag for one in page.elements}
    assert not any(name.startswith("on") for one in page.elements for name in one.attributes)
    assert [one.text for one in page.all("div", "text")] == [bad, bad]
    assert bad in (page.all("mark")[0].attributes["title"] or "")


def test_the_page_loads_nothing_and_its_policy_allows_inline_styles_only() -> None:
    html = build_report({"figures": [figure()]}, [study()])
    page = Page(html)
    (policy,) = [one for one in page.all("meta") if one.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policy.attributes["content"] == (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )
    for one in page.elements:
        assert not {"src", "srcset", "action", "data"} & set(one.attributes)
        assert (one.attributes.get("href") or "#").startswith("#")
    assert not {"link", "script", "iframe", "object"} & {one.tag for one in page.elements}
    assert "url(" not in html
    assert "@import" not in html


def test_links_and_notes_lead_somewhere() -> None:
    marks = [Mark("prediction", 0, 2, "unsupported", "x"), Mark("reference", 0, 2, "missed", "y")]
    page = build({"subgroups": []}, study(marks=marks), study(marks=marks))
    ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
    assert len(set(ids)) == len(ids)
    targets = [one.attributes["href"] for one in page.all("a")]
    assert all(target and target.removeprefix("#") in ids for target in targets)
    assert all(one.attributes["aria-describedby"] in ids for one in page.all("mark"))


TEXTS = [
    "\n leading and trailing  spaces \n\n",
    "tab\tand\r\nreturn\rend",
    "&lt; & <b> \"quoted\" 'single' &#13;",
    "naïve 🫁🩻 e\u0301 \u202eoverride\u202c \u00a0",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_marked_text_is_exactly_the_text(text: str) -> None:
    marks = [Mark("prediction", 0, 5, "unsupported", "a"), Mark("prediction", 3, len(text), "wrong_placement", "b")]
    assert build({}, study(prediction=text, reference=text, marks=marks)).all("div", "text")[1].text == text
    assert "\r" not in build_report({}, [study(prediction=text, marks=marks)])  # a browser would make it a line feed


MARKS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.sampled_from(list(KIND_WORDS))).filter(lambda m: m[0] < m[1]),
    max_size=6,
)


@given(MARKS)
def test_runs_are_the_text_and_lie_under_exactly_the_marks_that_cover_them(spans: list[tuple[int, int, Any]]) -> None:
    text = "abc <d>\n\rfg🫁&"[:12]
    marks = [Mark("reference", start, end, kind, "") for start, end, kind in spans]
    runs = list(segments(text, marks))
    assert "".join(run.text for run in runs) == text
    seen = [run.marks for run in runs for _ in run.text]
    assert seen == [tuple(i for i, m in enumerate(marks) if m.start <= at < m.end) for at in range(len(text))]
    assert sorted(i for run in runs for i in run.starting) == list(range(len(marks)))
    assert "".join(one.text for one in Page(f"<div>{marked_text(text, marks, 'p')}</div>").all("div")) == text


def test_an_overlap_carries_both_notes_and_each_mark_has_one_stop() -> None:
    # abcdef: mark 1 over bcd, mark 2 over cde, so that cd is under both
    marks = [Mark("prediction", 1, 4, "unsupported", "one"), Mark("prediction", 2, 5, "wrong_placement", "")]
    page = Page(str(marked_text("abcdef", marks, "p")))
    assert [(one.text, one.attributes["class"]) for one in page.all("mark")] == [
        ("b", "unsupported"),
        ("cd", "unsupported wrong_placement"),
        ("e", "wrong_placement"),
    ]
    assert [one.attributes.get("data-n") for one in page.all("mark")] == ["1", "2", None]
    assert ["tabindex" in one.attributes for one in page.all("mark")] == [True, True, False]
    assert page.all("mark")[1].attributes["title"] == (
        "1: not supported by the reference. one\n2: placement of a line or tube differs."
    )
    assert page.all("mark")[1].attributes["data-note"] == page.all("mark")[1].attributes["title"]


def test_notes_are_listed_in_the_order_of_the_text() -> None:
    marks = [Mark("prediction", 3, 11, "unsupported", "second"), Mark("prediction", 0, 2, "unsupported", "first")]
    page = build({}, study(marks=marks))
    assert [one.text for one in page.all("li") if "id" in one.attributes] == [
        "not supported by the reference first",
        "not supported by the reference second",
    ]
    assert [(one.attributes["data-n"], one.text) for one in page.all("mark")] == [("1", "No"), ("2", "effusion")]


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (Mark("prediction", 3, 3, "unsupported", ""), "3:3"),
        (Mark("prediction", -1, 3, "unsupported", ""), "-1:3"),
        (Mark("prediction", 0, 13, "unsupported", ""), "0:13 does not lie in a text of 12"),
        (Mark("prediction", 0, 3, "odd", ""), "'odd'"),  # type: ignore[arg-type]
        (Mark("both", 0, 3, "missed", ""), "study s1: unknown side of mark 'both'"),  # type: ignore[arg-type]
    ],
)
def test_a_mark_that_fits_no_text_is_refused_and_no_page_is_written(mark: Mark, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path / "report.html", {}, [study(marks=[mark])])
    assert not list(tmp_path.iterdir())


def test_the_page_is_for_its_owner_only_and_replaces_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("earlier")
    path.chmod(0o644)
    write_report(path, {}, [study(prediction="half a character: \ud83e")])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    assert "half a character: &#55358;" in path.read_text("utf-8")


def test_ticks_are_round_and_hold_all_values() -> None:
    # .375 to .529 in steps of .05 runs from .35 to .55: four steps
    assert axis_over([0.375, None, 0.529], steps=5) == Axis((0.35, 0.4, 0.45, 0.5, 0.55))
    # from zero to .412 in at most three steps: .2 is the first of .01, .02, .05, .1, .2 that does it
    assert axis_over([0.412], steps=3, from_zero=True) == Axis((0.0, 0.2, 0.4, 0.6))
    assert axis_over([0.0, 1.0], steps=2) == Axis((0.0, 0.5, 1.0))
    assert axis_over([0.3, 0.3], steps=5) == Axis((0.0, 0.1, 0.2, 0.3))
    assert axis_over([0.0], steps=5, from_zero=True) == Axis((0.0, 0.02, 0.04, 0.06, 0.08, 0.1))
    assert axis_over([None], steps=5, from_zero=True) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.integers(2, 5), st.booleans())
def test_every_value_has_a_place_inside_the_drawing(values: list[float], steps: int, from_zero: bool) -> None:
    axis = axis_over(values, steps=steps, from_zero=from_zero)
    assert axis is not None
    assert 2 <= len(axis.ticks) <= steps + 1
    assert list(axis.ticks) == sorted(axis.ticks)
    assert all(0 <= float(axis.place(value).removesuffix("%")) <= 100 for value in values)


def parts(drawing: object) -> dict[str, list[dict[str, float]]]:
    """Class -> the coordinates along the axis of each part with it, of a drawing that must be well-formed."""
    found: dict[str, list[dict[str, float]]] = {}
    for one in ET.fromstring(str(drawing)).iter():
        places = {
            name: float(value.removesuffix("%"))
            for name, value in one.attrib.items()
            if name in ("x", "x1", "x2", "cx", "width") and one.tag != "svg"
        }
        assert all(0 <= place <= 100 for place in places.values())
        found.setdefault(one.get("class", one.tag), []).append(places)
    return found


AXIS = Axis((0.3, 0.4, 0.5))


def test_the_dot_and_the_median_lie_on_the_interval_to_scale() -> None:
    drawing = parts(interval_svg(AXIS, 0.4, 0.42, 0.35, 0.45))
    (interval,), (dot,), (median,) = drawing["interval"], drawing["point"], drawing["median"]
    assert interval["x1"] < dot["cx"] < median["x1"] < interval["x2"]
    assert dot["cx"] == pytest.approx(50)  # the middle of .3 to .5
    # .35 to .45 is half of the axis, and the axis is the distance of the outer grid lines
    grid = [line["x1"] for line in drawing["grid"]]
    assert interval["x2"] - interval["x1"] == pytest.approx((grid[-1] - grid[0]) / 2, abs=0.002)


def test_a_bar_runs_from_zero_in_either_direction() -> None:
    axis = Axis((-0.5, 0.0, 0.5))
    up, down = parts(bar_svg(axis, 0.25))["bar"][0], parts(bar_svg(axis, -0.25))["bar"][0]
    assert up["x"] == pytest.approx(50)
    assert down["x"] + down["width"] == pytest.approx(50)
    assert up["width"] == pytest.approx(down["width"])


def test_what_is_not_there_is_not_drawn_and_what_is_off_the_axis_is_refused() -> None:
    assert set(parts(interval_svg(AXIS, None, None, 0.35, None))) == {"plot", "grid", "svg"}
    assert set(parts(bar_svg(Axis((0.0, 1.0)), None))) == {"plot", "grid", "svg"}
    with pytest.raises(ValueError, match=r"0.6 is not on the axis from 0.3 to 0.5"):
        interval_svg(AXIS, 0.6, None, None, None)
    with pytest.raises(ValueError, match=r"0.0 is not on the axis"):
        bar_svg(AXIS, 0.4)


@pytest.mark.parametrize(
    ("ticks", "percent", "labels"),
    [
        ((0.35, 0.4, 0.45), True, ["35", "40", "45"]),
        ((0.385, 0.39, 0.395), True, ["38.5", "39.0", "39.5"]),
        ((0.0, 2.0, 4.0), False, ["0", "2", "4"]),
        ((0.0, 0.02), False, ["0.00", "0.02"]),
    ],
)
def test_tick_labels_have_the_digits_of_their_step(ticks: tuple[float, ...], percent: bool, labels: list[str]) -> None:
    found = ET.fromstring(str(axis_svg(Axis(ticks), percent=percent))).iter("text")
    assert [one.text for one in found] == labels
