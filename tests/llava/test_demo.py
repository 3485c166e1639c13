"""`make demo-train`, with fewer steps: films, a training that is killed and goes on, reports, scores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_kills_its_training_goes_on_and_ends_with_scores(tmp_path):
    config = (ROOT / "examples" / "train_demo.toml").read_text(encoding="utf-8")
    for said, fewer in (
        ("max_steps = 12\n", "max_steps = 2\n"),
        ("max_steps = 180\n", "max_steps = 60\n"),
        ("every_steps = 45\n", "every_steps = 4\n"),
        ("every_steps = 180\n", "every_steps = 60\n"),
        ("studies = 16\ncontrols", "studies = 4\ncontrols"),
        ("max_new_tokens = 120\n", "max_new_tokens = 8\n"),
    ):
        assert config.count(said) == 1, said
        config = config.replace(said, fewer)
    (tmp_path / "demo.toml").write_text(config, encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "llava.demo", "-o", "demo", "--config", "demo.toml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    told = done.stdout + done.stderr
    assert "(killed, as by a power cut" in told
    assert "going on after step" in told.partition("(killed")[2]
    run = tmp_path / "demo" / "run"
    assert (run / "loss.png").read_bytes().startswith(b"\x89PNG")
    steps = [row["step"] for row in rows(run / "log.jsonl") if row["event"] == "step" and row["stage"] == "tune"]
    assert sorted(set(steps)) == list(range(1, 61))
    predicted = {row["study_id"] for row in rows(tmp_path / "demo" / "predictions.jsonl")}
    assert predicted == {row["study_id"] for row in rows(tmp_path / "demo" / "data" / "test.jsonl")}
    scores = json.loads((tmp_path / "demo" / "scores" / "scores.json").read_text(encoding="utf-8"))
    assert scores["counts"]["scored"] == len(predicted)
    assert "ROUGE-L" in told
    parts = [{row["patient_id"] for row in rows(tmp_path / f"demo/data/{name}.jsonl")} for name in PARTS]
    assert sum(map(len, parts)) == len(set.union(*parts))


PARTS = ("train", "validation", "test")


def rows(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
