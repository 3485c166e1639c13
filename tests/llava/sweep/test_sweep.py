import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llava.config import ConfigError
from llava.planning.kinds import Assumed
from llava.planning.plan import plan
from llava.sweep.figure import draw_scores
from llava.sweep.results import Outcome, Score, scores_of, write_table
from llava.sweep.run import steps_of
from llava.sweep.settings import RunSettings, SweepSettings, load_sweep
from llava.tiny import tiny_language_model
from studies.synthetic import make_cohort
from studies.synthetic.files import write_cohort

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "encoder_sweep.toml"

TRAIN = """
output = "never used"
[encoder]
name = "rad_dino"
weights = "tiny"
[language_model]
path = "lm"
[projector]
num_layers = 2
[data]
train = "train.jsonl"
workers = 0
[[stages]]
name = "tune"
train = ["projector", "language_model"]
batch_studies = 4
max_steps = 2
[compute]
device = "cpu"
precision = "float32"
[logging]
tensorboard = false
"""

SWEEP = """
output = "out"
train = "train.toml"
metrics = "rouge_l"
[overrides]
"stages.tune.learning_rate" = 1e-3
[test]
studies = "test.jsonl"
max_new_tokens = 8
[[runs]]
name = "rad_dino"
series = "RAD-DINO"
pretraining_studies = 0
encoder = { name = "rad_dino", weights = "tiny", image_size_px = 56 }
[[runs]]
name = "mi2_1k"
series = "MI2"
pretraining_studies = 1000
encoder = { name = "medimageinsight", weights = "tiny", image_size_px = 64 }
[[runs]]
name = "mi2_lost"
series = "MI2"
pretraining_studies = 2000
encoder = { name = "medimageinsight", weights = "nowhere.safetensors", accept_licence = true }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_cohort(make_cohort(12, 4, studies_per_patient=1, lateral_share=0, size_px=64), tmp_path / "data")
    rows = [json.loads(line) for line in (tmp_path / "data/generation.jsonl").read_text().splitlines()]
    for row in rows:
        row["frontal"] = f"data/{row['frontal']}"
    for name, part in (("train", rows[:8]), ("test", rows[8:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    tiny_language_model(tmp_path / "lm", [row["findings"] for row in rows], vocab_size=300, width=32, layers=1, heads=2)
    (tmp_path / "train.toml").write_text(TRAIN)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    return tmp_path


def run_sweep(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "llava", "sweep", "sweep.toml", *options]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_each_encoder_is_trained_and_scored_a_failed_one_is_a_row_and_a_second_call_does_only_what_is_left(
    folder: Path,
) -> None:
    first = run_sweep(folder)
    assert first.returncode == 3, first.stderr
    rows = list(csv.DictReader((folder / "out/table.csv").open()))
    assert [(row["run"], row["encoder"], row["pretraining_studies"], row["metric"]) for row in rows] == [
        ("rad_dino", "rad_dino", "0", "rouge_l"),
        ("mi2_1k", "medimageinsight", "1000", "rouge_l"),
        ("mi2_lost", "medimageinsight", "2000", ""),
    ]
    scores = json.loads((folder / "out/mi2_1k/scores/scores.json").read_text())
    assert float(rows[1]["median"]) == scores["figures"][0]["median"]  # as scored, not computed again
    assert scores["counts"]["scored"] == 4
    assert "train failed with exit code 2" in rows[2]["problem"]
    assert "nowhere.safetensors" in (folder / "out/mi2_lost/train.log").read_text()
    assert (folder / "out/figure.png").read_bytes().startswith(b"\x89PNG")
    cards = [
        json.loads((folder / f"out/{name}/train/tune/model/encoder.json").read_text())
        for name in ("rad_dino", "mi2_1k")
    ]
    assert len({json.dumps(card) for card in cards}) == 2

    written = (folder / "out/mi2_1k/predictions.jsonl").stat().st_mtime_ns
    second = run_sweep(folder)
    assert second.returncode == 3, second.stderr
    assert "rad_dino: done before" in second.stderr
    assert (folder / "out/mi2_1k/predictions.jsonl").stat().st_mtime_ns == written

    (folder / "sweep.toml").write_text(SWEEP.replace("max_new_tokens = 8", "max_new_tokens = 9"))
    other = run_sweep(folder)  # done runs were made otherwise: they are no part of this sweep
    assert other.returncode == 3
    assert "holds a run of other settings" in next(csv.DictReader((folder / "out/table.csv").open()))["problem"]


def test_patients_in_training_and_test_are_refused(folder: Path) -> None:
    (folder / "test.jsonl").write_text((folder / "train.jsonl").read_text())
    found = run_sweep(folder)
    assert found.returncode == 2
    assert "8 patients are in both" in found.stderr


def test_a_plan_sums_the_gpu_hours_and_runs_nothing(folder: Path) -> None:
    found = run_sweep(folder, "--plan")
    assert found.returncode == 0, found.stderr  # weights that are not there are not needed
    *runs, total = (line.split() for line in found.stdout.splitlines()[1:])
    assert [words[0] for words in runs] == ["rad_dino", "mi2_1k", "mi2_lost"]
    assert float(total[-1]) == pytest.approx(sum(float(words[-1]) for words in runs), rel=0.01)
    assert "rad_dino, mi2_1k, mi2_lost: data: 8 studies of train.jsonl" in found.stderr
    assert not (folder / "out").exists()
    (folder / "train.jsonl").unlink()
    assert "train.jsonl does not exist; assumed are 1,000,000 studies of 3 images" in run_sweep(folder, "--plan").stderr


def test_runs_can_differ_in_their_encoder_only(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(EXAMPLE.read_text().replace("pretraining_studies = 0", "pretraining_studies = 0\nseed = 3"))
    with pytest.raises(ConfigError, match="seed"):
        load_sweep(sweep)
    sweep.write_text(EXAMPLE.read_text().replace("[overrides]", '[overrides]\n"encoder.layers" = [-2]'))
    with pytest.raises(ConfigError, match="runs give the encoder"):
        load_sweep(sweep)
    sweep.write_text(EXAMPLE.read_text().replace("rad_dino_1m", "rad_dino_100k"))
    with pytest.raises(ConfigError, match="runs of one name: rad_dino_100k"):
        load_sweep(sweep)


def test_an_override_reaches_every_training_and_the_base_encoder_none() -> None:
    sweep = load_sweep(EXAMPLE).model_copy(update={"overrides": {"stages.0.batch_studies": 7}})
    for run in sweep.runs:
        training = sweep.training(run)
        assert training.stages[0].batch_studies == 7
        assert training.encoder == run.encoder
        assert training.output == Path("sweep") / run.name / "train"


def test_commands_carry_the_settings() -> None:
    sweep = load_sweep(EXAMPLE)
    launched = sweep.model_copy(update={"launch": ("accelerate", "launch"), "score_options": ("--seed", "3")})
    train, generate, score = (step.words for step in steps_of(launched, sweep.runs[-1]))
    assert train[:2] == ("accelerate", "launch")
    assert any('"image_size_px" = 518' in word for word in train)
    assert generate[generate.index("--max-new-tokens") + 1] == "300"
    assert score[-2:] == ("--seed", "3")


def test_the_tiny_sweep_reads_what_the_demo_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where make demo-train and the README's commands run
    sweep = load_sweep(Path("examples/tiny_sweep.toml"))
    made = Path("demo_train/data")
    assert sweep.test.studies == made / "test.jsonl"
    for run in sweep.runs:
        data = sweep.training(run).data
        assert (data.train, data.validation) == (made / "train.jsonl", made / "validation.jsonl")
        assert sweep.training(run).language_model.path == "demo_train/language_model"
        assert sweep.training(run).encoder.weights == "tiny"


def test_another_encoder_metric_or_decoding_is_another_run_and_logging_is_not() -> None:
    sweep = load_sweep(EXAMPLE)
    run = sweep.runs[1]
    base = sweep.identity(run)
    assert sweep.identity(sweep.runs[2]) != base
    assert sweep.model_copy(update={"metrics": "rouge_l"}).identity(run) != base
    longer = sweep.test.model_copy(update={"max_new_tokens": 10})
    assert sweep.model_copy(update={"test": longer}).identity(run) != base
    logged = {**sweep.overrides, "logging.tensorboard": False}
    assert sweep.model_copy(update={"overrides": logged, "output": Path("b")}).identity(run) == base


def test_another_table_or_other_weights_of_the_same_name_are_another_run(tmp_path: Path) -> None:
    weights, studies, train = tmp_path / "w.safetensors", tmp_path / "test.csv", tmp_path / "train.csv"
    sweep = load_sweep(EXAMPLE)
    encoder = sweep.runs[1].encoder.model_copy(update={"weights": str(weights)})
    run = sweep.runs[1].model_copy(update={"encoder": encoder})
    sweep = sweep.model_copy(
        update={
            "test": sweep.test.model_copy(update={"studies": studies}),
            "overrides": sweep.overrides | {"data.train": str(train)},
        }
    )
    seen = {sweep.identity(run)}
    for number, file in enumerate((weights, studies, train), 2):
        file.write_text("a")
        seen.add(sweep.identity(run))
        assert len(seen) == number
    weights.write_text("b")
    assert sweep.identity(run) not in seen


def test_both_encoders_read_films_of_518_px_as_in_the_paper() -> None:
    sweep = load_sweep(EXAMPLE)
    tokens = {plan(sweep.training(run), Assumed()).model.encoder.num_tokens for run in sweep.runs}
    assert tokens == {1369, 289}


def test_the_papers_sweep_takes_about_17400_h100_hours() -> None:
    # trainer.md's figure: 6 RAD-DINO and 11 MI2 runs, 3 epochs of 2.5 M studies, three films each:
    # 3 * (6 * 644 + 11 * 177) = 17,433
    sweep = load_sweep(EXAMPLE)
    assumed = Assumed(studies=2_500_000, text_tokens=450, images=3)
    one_of_each = {run.encoder.name: run for run in sweep.runs}
    hours = {name: plan(sweep.training(run), assumed).gpu_hours for name, run in one_of_each.items()}
    assert 6 * hours["rad_dino"] + 11 * hours["medimageinsight"] == pytest.approx(17_433, rel=0.1)


def made_run(name: str, size: int) -> RunSettings:
    return RunSettings.model_validate(
        {"name": name, "series": "A", "pretraining_studies": size, "encoder": {"name": "rad_dino", "weights": "tiny"}}
    )


def test_an_undefined_score_is_an_empty_cell_and_no_point_of_the_figure(tmp_path: Path) -> None:
    run = made_run("a", 10)
    undefined = Score("placement", "Incorrect Placement F1", None, None, None, None)
    assert not draw_scores([(Outcome(run), [undefined])], tmp_path / "figure.png")
    assert not (tmp_path / "figure.png").exists()
    figures = [{**undefined._asdict(), "name": "placement", "group": "headline"}]
    (tmp_path / "a" / "scores").mkdir(parents=True)
    (tmp_path / "a" / "scores" / "scores.json").write_text(json.dumps({"figures": figures, "counts": {"scored": 7}}))
    sweep = SweepSettings.model_validate(
        {"output": tmp_path, "train": "t.toml", "test": {"studies": "s.jsonl"}, "runs": [run.model_dump()]}
    )
    write_table(sweep, [Outcome(run)])
    row = next(csv.DictReader((tmp_path / "table.csv").open()))
    assert (row["median"], row["scored"]) == ("", "7")


def test_a_damaged_score_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text("{")
    with pytest.raises(ValueError, match=r"scores\.json is no scores\.json"):
        scores_of(tmp_path)


TRAINER = """
import pathlib, signal, sys, time
def save(*_):
    time.sleep(0.6)  # longer than subprocess waits by itself
    pathlib.Path(sys.argv[1]).touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, save)
signal.signal(signal.SIGINT, save)
pathlib.Path(sys.argv[2]).touch()
time.sleep(60)
"""


SWEEPING = (
    "import sys; from llava.console import Screen; from llava.running import exit_code;"
    "from llava.sweep.run import _ended;"
    "sys.exit(exit_code(Screen('sweep'), lambda: _ended([sys.executable, '-c', sys.argv[1], *sys.argv[2:]], None)))"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_leaves_the_training_the_time_to_save(tmp_path, number):
    saved, ready = tmp_path / "saved", tmp_path / "ready"
    command = [sys.executable, "-c", SWEEPING, TRAINER, str(saved), str(ready)]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True) as process:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.05)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert saved.exists()
    assert "stopped" in said
    assert "Traceback" not in said


STUBBORN = """
import pathlib, signal, sys, time
asked = []
def ask(*_):
    asked.append(1)
    pathlib.Path(sys.argv[1]).write_text(str(len(asked)))
    if len(asked) == 2:
        sys.exit(130)
signal.signal(signal.SIGTERM, ask)
pathlib.Path(sys.argv[1]).write_text("0")
while True:
    time.sleep(0.05)
"""


@pytest.mark.parametrize(("number", "heard"), [(signal.SIGTERM, "012"), (signal.SIGINT, "0012")])
def test_asked_again_it_asks_the_training_again_and_outlives_it(tmp_path, number, heard):
    """SIGINT goes to the sweep alone here, as `kill -INT` sends it."""
    asked = tmp_path / "asked"
    command = [sys.executable, "-c", SWEEPING, STUBBORN, str(asked)]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True) as process:
        try:
            for place, count in enumerate(heard):
                if place > 0:
                    process.send_signal(number)
                    time.sleep(0.5)
                end_s = time.monotonic() + 30
                while not asked.exists() or asked.read_text() != count:
                    assert time.monotonic() < end_s
                    time.sleep(0.05)
            _, said = process.communicate(timeout=30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert "Traceback" not in said
