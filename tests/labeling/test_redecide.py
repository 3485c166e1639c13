import json
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from labeling.inputs import InputError
from labeling.redecide import redecide_file

SHIPPED = Path(str(resources.files("labeling.placement")))
REPORTS = (
    "report_id,report\n"
    "A,ETT tip is 2.5 cm above the carina.\n"
    "B,ETT tip is 5 cm above the carina. Right PICC tip in the mid SVC.\n"
)


@pytest.fixture
def labels(tmp_path):
    (tmp_path / "in.csv").write_text(REPORTS)
    command = [sys.executable, "-m", "labeling", "label", "-p", "all", str(tmp_path / "in.csv")]
    subprocess.run([*command, "-o", str(tmp_path / "labels.jsonl")], check=True, capture_output=True)
    return tmp_path / "labels.jsonl"


@pytest.fixture
def lenient(tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    for file in SHIPPED.glob("*.toml"):
        shutil.copy(file, folder)
    table = folder / "endotracheal_tube.toml"
    table.write_text(table.read_text().replace('borderline = "unclear"', 'borderline = "correct"'))
    return folder


def test_the_same_tables_change_nothing_and_give_the_same_rows(labels, tmp_path):
    entries, changes = redecide_file(labels, None, tmp_path / "new.jsonl")
    assert (entries, changes) == (3, [])
    assert (tmp_path / "new.jsonl").read_bytes() == labels.read_bytes()


def test_other_tables_change_exactly_what_rests_on_them_without_a_model(labels, lenient, tmp_path):
    command = [sys.executable, "-m", "labeling", "redecide", str(labels), "--tables", str(lenient)]
    done = subprocess.run([*command, "-o", str(tmp_path / "new.jsonl")], capture_output=True, text=True, check=True)
    assert "A: endotracheal_tube unclear (borderline) -> correct (borderline)" in done.stdout
    assert "1 of 3 lines and tubes change" in done.stdout
    old, new = ([json.loads(line) for line in path.open()] for path in (labels, tmp_path / "new.jsonl"))
    assert new[0]["line_tube_labels"]["endotracheal_tube"] == {"count": 1, "placement": "correct"}
    assert new[0]["placement_sha256"] != old[0]["placement_sha256"]
    assert new[0]["lines_and_tubes"][0]["evidence"] == old[0]["lines_and_tubes"][0]["evidence"]
    assert new[1]["lines_and_tubes"] == old[1]["lines_and_tubes"]


def test_a_file_that_is_no_labels_is_refused_by_line(tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"report_id": "A"}\n')
    with pytest.raises(InputError, match="line 1"):
        redecide_file(tmp_path / "bad.jsonl", None, None)
    with pytest.raises(InputError, match="does not exist"):
        redecide_file(tmp_path / "none.jsonl", None, None)
    done = subprocess.run(
        [sys.executable, "-m", "labeling", "redecide", str(tmp_path / "bad.jsonl")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
