"""The whole of it on what it is for: a small generator, trained on drawn films, names what is drawn on films whose
combination of findings and tubes it never saw, and names it by looking."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import binary_dilation

from llava.config import TrainSettings
from llava.generate.run import generate_reports
from llava.generate.settings import make_settings
from llava.tiny import tiny_language_model
from llava.trainer import train
from prompts.report_prompt import Text, load_report_prompt
from studies.synthetic import Device, Effusion, Facts, make_study
from studies.synthetic.files import write_png
from tests.llava.generate.made import Heard

STUDIES, CHANCE = 64, 0.5
DRAWN_PX, SIZE_PX = 112, 56
SAID = (  # if it is drawn, if not
    ("A large left effusion.", "No left effusion."),
    ("An endotracheal tube.", "No endotracheal tube."),
    ("A large right effusion.", "No right effusion."),
    ("A left chest tube.", "No chest tube."),
    ("A right PICC.", "No PICC."),
)
Combination = tuple[int, ...]  # of 0 and 1, in SAID's order
EVERY: list[Combination] = list(itertools.product((0, 1), repeat=len(SAID)))
# Each finding and tube is in half of the held-out ones, independently of any other one: chance is a half.
HELD_OUT = [one for one in EVERY if one[3] == one[2] ^ one[0] and one[4] == one[2] ^ one[1]]
SHOWN = [one for one in EVERY if one not in HELD_OUT]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trained run, with its held-out table."""
    folder = tmp_path_factory.mktemp("learning")
    shown = [SHOWN[place % len(SHOWN)] for place in range(STUDIES)]
    write_table(folder, "train", shown, first_seed=0)
    write_table(folder, "held_out", HELD_OUT * (STUDIES // len(HELD_OUT)), first_seed=STUDIES)
    tiny_language_model(folder / "lm", texts(shown), vocab_size=1024, width=128, layers=2)
    settings = TrainSettings.model_validate(
        {
            "output": folder / "run",
            "seed": 1,  # seeds 0 to 3 named 0.94 to 0.98 of what is drawn
            "encoder": {"name": "rad_dino", "weights": "tiny", "image_size_px": SIZE_PX, "layers": [0]},
            "language_model": {"path": str(folder / "lm")},
            "projector": {"num_layers": 2},
            "data": {"train": folder / "train.jsonl", "workers": 0},
            "compute": {"device": "cpu", "precision": "float32", "gradient_checkpointing": False},
            "checkpoints": {"every_steps": 1000},
            "validation": {"generate": False},
            "logging": {"tensorboard": False},
            "stages": [
                {
                    "name": "learn",
                    "train": ["encoder", "projector", "language_model"],
                    "epochs": 45,
                    "batch_studies": 8,
                    "learning_rate": 1e-3,
                    "learning_rates": {"encoder": 2e-3},
                    "warmup_ratio": 0.05,
                }
            ],
        }
    )
    train(settings, lambda _: None)
    return folder


def test_it_names_findings_and_tubes_in_combinations_it_never_saw(run):
    named = shares_named(run, None)
    assert named.mean() > 0.9
    assert named.min() > 0.8


def test_it_names_them_by_chance_where_the_films_are_of_other_patients(run):
    named = shares_named(run, "shuffled_images")
    assert abs(named.mean() - CHANCE) < 0.1
    assert named.max() < 0.75


def shares_named(folder: Path, control: str | None) -> npt.NDArray[np.float64]:
    """Of each finding and tube the share of held-out studies whose report says rightly whether it is there."""
    output = folder / f"{control}.jsonl"
    settings = make_settings(
        {
            "checkpoint": folder / "run",
            "studies": folder / "held_out.jsonl",
            "output": output,
            "control": control,
            "max_new_tokens": 40,
            "device": "cpu",
            "batch_size": STUDIES,
            "workers": 0,
        }
    )
    assert generate_reports(settings, Heard()) == 0
    reports = {row["study_id"]: row["prediction"] for row in read(output)}
    rows = read(folder / "held_out.jsonl")
    right = [
        [
            {one for one in said if one in reports[row["study_id"]]} == {one for one in said if one in row["findings"]}
            for said in SAID
        ]
        for row in rows
    ]
    return np.mean(right, axis=0)


def findings(combination: Combination) -> str:
    return " ".join(said[1 - drawn] for said, drawn in zip(SAID, combination, strict=True))


def texts(combinations: list[Combination]) -> list[str]:
    """What a tokenizer learns from: the reports, and the prompt often enough that it takes few tokens."""
    prompt = load_report_prompt("findings")
    words = [part.text for part in prompt.user_turn({"frontal"}) if isinstance(part, Text)]
    return [findings(one) for one in combinations] + [prompt.system, *words] * 8


def write_table(folder: Path, name: str, combinations: list[Combination], first_seed: int) -> None:
    """Studies and films, each of a patient of another build."""
    films = folder / name
    films.mkdir()
    rows = []
    for place, combination in enumerate(combinations):
        write_png(films / f"{place}.png", film(combination, seed=first_seed + place))
        study = f"{name}{place}"
        row = {
            "study_id": study,
            "patient_id": study,
            "frontal": f"{name}/{place}.png",
            "findings": findings(combination),
        }
        rows.append(json.dumps(row) + "\n")
    (folder / f"{name}.jsonl").write_text("".join(rows), encoding="utf-8")


def film(combination: Combination, seed: int) -> npt.NDArray[np.float32]:
    """Tubes are drawn some pixels wide: at this size they would otherwise be fainter than noise."""
    left_effusion, tracheal_tube, right_effusion, chest_tube, picc = combination
    chance = np.random.default_rng(seed)
    devices = (
        Device("endotracheal_tube", "unspecified", "above_carina", "incorrect", 10.0, 1.0, "carina"),
        Device("chest_tube", "left", "upper", "correct", 0.5),
        Device("picc", "right", "mid_svc", "correct", 5.0),
    )
    there = [one for one, drawn in zip(devices, (tracheal_tube, chest_tube, picc), strict=True) if drawn]
    facts = Facts(
        view="PA",
        heart_ratio=chance.uniform(0.39, 0.47),
        effusions=tuple(
            Effusion(side, chance.uniform(145, 180))
            for side, drawn in (("left", left_effusion), ("right", right_effusion))
            if drawn
        ),
        devices=tuple(there),
    )
    study = make_study(seed, size_px=DRAWN_PX, facts=facts)
    pixels_HW = study.pixels_HW.copy()
    for device in there:
        width = 3 if device.kind == "endotracheal_tube" else 2
        pixels_HW[binary_dilation(study.masks[device.name], iterations=width)] = 1
    step = DRAWN_PX // SIZE_PX
    return pixels_HW.reshape(SIZE_PX, step, SIZE_PX, step).mean((1, 3))


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
