"""The page in a real browser: nothing sticks out, everything has a size, and the colours can be read."""

from __future__ import annotations

import html
import json
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from eval.report.marks import Mark
from eval.report.page import StudyView, write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome is installed")

FINDINGS = (
    "Enlarged Cardiomediastinum, Cardiomegaly, Lung Opacity, Lung Lesion, Edema, Consolidation, Pneumonia, "
    "Atelectasis, Pneumothorax, Pleural Effusion, Pleural Other, Fracture, Support Devices, No Finding"
).split(", ")
REFERENCE = (
    "The right internal jugular catheter tip projects over the right atrium and should be withdrawn by 3 cm.\n"
    "Small left pleural effusion with adjacent atelectasis. No pneumothorax.\n\n"
    "The heart is mildly enlarged.  Old fracture of the left seventh rib."
)
PREDICTION = (
    "Right internal jugular catheter with its tip at the cavoatrial junction.\n"
    "Moderate left pleural effusion and consolidation of the left lower lobe. No pneumothorax.\n\n"
    "The heart is normal in size."
)


def mark(side: str, text: str, span: str, kind: str, note: str) -> Mark:
    start = text.index(span)
    return Mark(side, start, start + len(span), kind, note)  # type: ignore[arg-type]


def figure(
    name: str, label: str, metric: str, group: str, point: float | None, half: float = 0.02, **more: Any
) -> dict[str, Any]:
    numbers = (
        {"point": None, "median": None, "low": None, "high": None}
        if point is None
        else {"point": point, "median": point + half / 6, "low": max(0, point - half), "high": min(1, point + half)}
    )
    return {"name": name, "label": label, "metric": metric, "group": group, "support": None, **numbers, **more}


def outcome(support: int, tp: int, fp: int) -> dict[str, Any]:
    fn = support - tp
    precision = tp / (tp + fp) if tp + fp else None
    recall = tp / support if support else None
    f1 = 2 * tp / (2 * tp + fp + fn) if support else None
    return {"support": support, "tp": tp, "fp": fp, "fn": fn, "precision": precision, "recall": recall, "f1": f1}


def demo_scores() -> dict[str, Any]:
    """Invented scores that fill every section, with a metric that was not computed and a class without positives."""
    classes = [
        {"class": name, **(outcome(0, 0, 3) if name == "Pleural Other" else outcome(24 + 9 * i, 14 + 6 * i, 5 + 2 * i))}
        for i, name in enumerate(FINDINGS)
    ]
    devices = [
        {
            "device": name,
            "predicted": 5 + i,
            **(outcome(0, 0, 1) if name == "mediastinal_drain" else outcome(9 - i, 4, 1 + i)),
        }
        for i, name in enumerate(
            ("internal_jugular_cvc", "picc", "endotracheal_tube", "nasogastric_tube", "mediastinal_drain")
        )
    ]
    rouge = figure("rouge_l", "ROUGE-L", "rouge_l", "headline", 0.386, 0.011)
    rouge["intervals"] = {
        "patient": {"median": 0.387, "low": 0.375, "high": 0.397},
        "study": {"median": 0.387, "low": 0.379, "high": 0.394},
    }
    levels = {
        "sex": (("F", 603, 0.392), ("M", 641, 0.381)),
        "age band": (
            ("18 to 39", 181, 0.412),
            ("40 to 64", 522, 0.389),
            ("65 and over", 534, 0.377),
            ("(missing)", 7, 0.331),
        ),
    }
    return {
        "format": "carina-scores/1",
        "carina_version": "0.1.0",
        "counts": {
            "predictions": 1247,
            "references": 1250,
            "scored": 1244,
            "patients": 612,
            "missing_predictions": 6,
            "missing_references": 3,
            "empty_predictions": 2,
            "empty_references": 0,
        },
        "bootstrap": {"replicates": 500, "seed": 0, "unit": "patient", "rng": "PCG64", "confidence": 0.95},
        "metrics": {
            "rouge_l": {
                "settings": {"use_stemmer": False, "tokenizer": "rouge-score"},
                "notes": [],
                "excluded": 0,
                "failure_rate": None,
            },
            "chexbert": {
                "settings": {
                    "weights_sha256": "0123456789abcdef" * 4,
                    "uncertain_as": "negative",
                    "zero_division": 0,
                    "max_tokens": 512,
                },
                "notes": ["Pleural Other has no positive in the references and counts as 0 in the macro F1."],
                "excluded": 0,
                "failure_rate": None,
            },
            "incorrect_placement": {
                "settings": {"judge": "rules", "unit": "study and device", "unclear_counts_as": "not incorrect"},
                "notes": [
                    "12 positives in the references: the interval is wide, and resamples without any are left out."
                ],
                "excluded": 4,
                "failure_rate": 0.0123,
            },
        },
        "not_computed": {"radfact": "needs a language model: --model and --base-url"},
        "figures": [
            rouge,
            figure("chexbert_macro_f1_14", "CheXbert macro F1-14", "chexbert", "headline", 0.511, 0.018),
            figure(
                "incorrect_placement_f1",
                "Incorrect Placement F1",
                "incorrect_placement",
                "headline",
                0.413,
                0.056,
                support=27,
                degenerate_share=0.004,
            ),
            figure("chexbert_micro_f1_14", "CheXbert micro F1-14", "chexbert", "detail", 0.574, 0.013),
            figure("chexbert_macro_f1_5", "CheXbert macro F1-5", "chexbert", "detail", 0.558, 0.021),
            figure(
                "placement_macro_f1", "Incorrect Placement macro F1", "incorrect_placement", "detail", None, support=0
            ),
            *(
                figure(
                    f"chexbert_f1_{row['class'].lower().replace(' ', '_')}",
                    row["class"],
                    "chexbert",
                    "class",
                    row["f1"],
                    0.07,
                )
                for row in classes
            ),
            *(
                figure(
                    f"incorrect_placement_f1_{row['device']}",
                    row["device"],
                    "incorrect_placement",
                    "device",
                    row["f1"],
                    0.15,
                )
                for row in devices
            ),
        ],
        "tables": {"chexbert_classes": classes, "placement_devices": devices},
        "subgroups": [
            {
                "column": column,
                "figure": name,
                "levels": [
                    {
                        "value": value,
                        "studies": studies,
                        "point": point + shift,
                        "small": studies < 10,
                        "low": point + shift - 0.4 / studies**0.5,
                        "high": point + shift + 0.4 / studies**0.5,
                        "gap": point - rows[-2][2] if len(rows) > 2 else point - rows[-1][2],
                        "gap_low": 0 if point == rows[-2 if len(rows) > 2 else -1][2] else point - 0.377 - 0.018,
                        "gap_high": 0 if point == rows[-2 if len(rows) > 2 else -1][2] else point - 0.377 + 0.018,
                    }
                    for value, studies, point in rows
                ],
            }
            for column, rows in levels.items()
            for name, shift in (("rouge_l", 0.0), ("chexbert_macro_f1_14", 0.12))
        ],
    }


def demo_studies() -> list[StudyView]:
    marked = (
        mark(
            "prediction",
            PREDICTION,
            "tip at the cavoatrial junction",
            "wrong_placement",
            "The reference has it in the right atrium.",
        ),
        mark(
            "prediction", PREDICTION, "Moderate left pleural effusion", "unsupported", "The reference calls it small."
        ),
        mark(
            "prediction",
            PREDICTION,
            "pleural effusion and consolidation of the left lower lobe",
            "unsupported",
            "The reference names atelectasis, not consolidation.",
        ),
        mark(
            "prediction",
            PREDICTION,
            "The heart is normal in size.",
            "unsupported",
            "The reference has an enlarged heart.",
        ),
        mark("reference", REFERENCE, "tip projects over the right atrium", "wrong_placement", "Placed incorrectly."),
        mark(
            "reference",
            REFERENCE,
            "projects over the right atrium and should be withdrawn",
            "missed",
            "Not in the generated report.",
        ),
        mark("reference", REFERENCE, "The heart is mildly enlarged.", "missed", "Contradicted."),
        mark("reference", REFERENCE, "  Old fracture of the left seventh rib.", "missed", ""),
    )
    scores = {"rouge_l": 0.214, "radfact_precision": 0.25, "radfact_recall": None}
    hostile = "<script>document.title = 'owned'</script> & \"no\" 'effusion'. " + "x" * 300
    return [
        StudyView("study-0417", PREDICTION, REFERENCE, scores, marked, "incorrect_placement"),
        StudyView("study-0033", "Lungs clear.", REFERENCE, {"rouge_l": 0.061}, (), "rouge_l"),
        StudyView("study-0911", "", REFERENCE, {"rouge_l": 0.0}, (), "rouge_l"),
        StudyView(
            "study-1200" + "0" * 90, hostile, "No effusion.\r\nNo pneumothorax.", {"rouge_l": 0.102}, (), "rouge_l"
        ),
    ]


MEASURE = """
const box = e => { const b = e.getBoundingClientRect(); return [b.width, b.height]; };
const all = s => [...document.querySelectorAll(s)];
const lines = e => { const c = getComputedStyle(e); return {
  background: c.backgroundColor, color: c.color, underline: c.textDecorationLine + " " + c.textDecorationStyle,
  border: c.borderTopStyle }; };
all("details").forEach(d => { d.open = true; });
const root = document.documentElement;
const first = document.querySelector("mark[data-n]");
const before = getComputedStyle(first, "::after").content;
first.focus();
document.getElementById("measured").textContent = JSON.stringify({
  title: document.title,
  page: [root.scrollWidth, root.clientWidth],
  boxes: all(".wide").map(e => [e.scrollWidth, e.clientWidth]),
  svg: all("svg").filter(e => !e.parentElement.closest("svg")).map(box), table: all("table").map(box),
  marks: all("mark").map(e => [e.className, lines(e)]),
  texts: all(".text").map(e => e.textContent),
  numerals: [...new Set(all("td.num").map(e => getComputedStyle(e).fontVariantNumeric))],
  colors: ["body", ".lead", ".aside", "thead th", ".range", "nav a", ".alert"].map(
    s => [s, getComputedStyle(document.querySelector(s)).color]),
  paper: getComputedStyle(document.body).backgroundColor,
  stops: all("mark[tabindex='0']").length,
  has_focus: document.hasFocus(), note: [before, getComputedStyle(first, "::after").content],
  axis: all(".axis").map(e => { const c = e.closest("tr").getBoundingClientRect();
    return [...e.querySelectorAll("text")].every((t, i, ts) => { const b = t.getBoundingClientRect();
      return b.left >= c.left && b.right <= c.right && (!i || b.left > ts[i - 1].getBoundingClientRect().right); }); }),
});
"""
DARK = "--blink-settings=preferredColorScheme=0"


def run_browser(tmp_path: Path, page: Path, *options: str) -> str:
    """Open a page in a browser that has a profile of its own and asks nobody anything; give what it prints."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(path, demo_scores(), demo_studies())
    return path


def with_script(page: Path, script: str, *, policy: bool) -> Path:
    """A copy of the page that holds a script; without the page's policy the script may run."""
    text = page.read_bytes().decode("utf-8")
    if not policy:
        text, removed = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
        assert removed == 1
    copy = page.with_name("copy.html")
    copy.write_text(
        text.replace("</body>", f'<pre id="measured"></pre><script>{script}</script></body>'), "utf-8", newline=""
    )
    return copy


@pytest.fixture(scope="module", params=[(1280, ()), (700, ()), (1280, (DARK,))], ids=["1280", "700", "1280-dark"])
def measured(request: pytest.FixtureRequest, page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    width, options = request.param
    copy = with_script(page, MEASURE, policy=False)
    for _ in range(10):
        profile = tmp_path_factory.mktemp("browser")
        dom = run_browser(profile, copy, f"--window-size={width},1200", "--dump-dom", *options)
        found = re.search(r'<pre id="measured">(.+?)</pre>', dom, re.DOTALL)
        assert found, "the measuring script did not run"
        measures: dict[str, Any] = json.loads(html.unescape(found[1]))
        if measures["has_focus"]:
            break  # on a busy machine a page may load before its window has the focus; :focus then matches nothing
    assert abs(measures["page"][1] - width) <= 20
    measures["dark"] = DARK in options
    return measures


def rgb(color: str) -> tuple[float, float, float]:
    red, green, blue = re.findall(r"[\d.]+", color)[:3]
    return float(red), float(green), float(blue)


def contrast(one: str, other: str) -> float:
    """WCAG 2.1 contrast ratio: (L1 + .05) / (L2 + .05) of the relative luminances."""

    def luminance(color: str) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb(color))]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_neither_the_page_nor_a_table_sticks_out_sideways(measured: dict[str, Any]) -> None:
    for scroll_width, client_width in (measured["page"], *measured["boxes"]):
        assert scroll_width <= client_width


def test_every_drawing_and_table_has_a_size_and_axis_labels_neither_leave_it_nor_touch(
    measured: dict[str, Any],
) -> None:
    assert len(measured["table"]) >= 9
    assert len(measured["svg"]) >= 40
    assert all(min(size) > 8 for size in measured["svg"])
    assert all(min(size) > 20 for size in measured["table"])
    assert measured["axis"]
    assert all(measured["axis"])


def test_marks_can_be_told_apart_without_their_colours(measured: dict[str, Any]) -> None:
    looks: dict[str, set[tuple[str, str]]] = {}
    for kinds, style in measured["marks"]:
        looks.setdefault(kinds, set()).add((style["underline"], style["border"]))
        assert style["background"] != "rgba(0, 0, 0, 0)"
        assert contrast(style["color"], style["background"]) >= 7
    assert {kinds: len(found) for kinds, found in looks.items()} == dict.fromkeys(looks, 1)
    assert set(looks) == {"unsupported", "missed", "wrong_placement", "wrong_placement missed"}
    assert len(set.union(*looks.values())) == 4


def test_text_can_be_read_on_its_ground(measured: dict[str, Any]) -> None:
    assert (sum(rgb(measured["paper"])) < 3 * 64) is measured["dark"]
    colors = dict(measured["colors"])
    assert contrast(colors.pop("body"), measured["paper"]) >= 12
    for color in colors.values():
        assert contrast(color, measured["paper"]) >= 4.5


def test_numerals_stand_in_columns(measured: dict[str, Any]) -> None:
    assert measured["numerals"] == ["tabular-nums"]


def test_texts_are_shown_exactly_and_their_scripts_do_not_run(measured: dict[str, Any]) -> None:
    assert measured["title"] == "Scores of generated reports"
    assert measured["texts"] == [text for study in demo_studies() for text in (study.reference, study.prediction)]


def test_a_keyboard_reaches_each_mark_and_shows_its_note(measured: dict[str, Any]) -> None:
    assert measured["stops"] == 8
    before, focused = measured["note"]
    assert measured["has_focus"], "the browser never gave its window the focus"
    assert before == "none"
    assert "Placed incorrectly." in focused


def test_the_policy_stops_a_script_that_got_into_the_page(page: Path, tmp_path: Path) -> None:
    copy = with_script(page, "document.getElementById('measured').textContent = 'ran'", policy=True)
    assert '<pre id="measured"></pre>' in run_browser(tmp_path, copy, "--dump-dom")
    copy = with_script(page, "document.getElementById('measured').textContent = 'ran'", policy=False)
    assert '<pre id="measured">ran</pre>' in run_browser(tmp_path, copy, "--dump-dom")  # so the test can fail


def test_a_screenshot_shows_something(page: Path, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    run_browser(tmp_path, page, f"--screenshot={shot}", "--window-size=1280,2400")
    data = shot.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (1280, 2400)
    at, pixels = 8, b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            pixels += data[at + 8 : at + 8 + length]
        at += 12 + length
    rows = zlib.decompress(pixels)
    assert len(set(rows)) > 100  # a blank page has a handful of byte values, letters have them all
