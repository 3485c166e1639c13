"""What a user installs holds everything the commands need, and nothing heavy is imported too early."""

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("encoders", "eval", "labeling", "llava", "prompts", "studies")
SHIPPED = {".py", ".md", ".js", ".json", ".jsonl", ".toml", ".jinja", ".sha256"}
HEAVY = ("torch", "transformers", "vllm", "open_clip", "numpy", "pandas")


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # The environment's own setuptools builds: a test must not need the network.
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_every_module_prompt_and_table(wheel_names):
    expected = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.suffix in SHIPPED or file.name == "py.typed"
        if "__pycache__" not in file.parts
    }
    assert expected <= wheel_names
    assert any(name.startswith("prompts/labeling/") for name in expected)


def test_the_wheel_holds_no_tests_and_no_benchmarks(wheel_names):
    assert {name.split("/")[0] for name in wheel_names} == {
        *PACKAGES,
        next(n for n in wheel_names if "dist-info" in n).split("/")[0],
    }


def test_no_other_installed_distribution_owns_our_top_level_names():
    owners = metadata.packages_distributions()
    for package in PACKAGES:
        assert set(owners.get(package, [])) <= {"carina-cxr"}, package


@pytest.mark.parametrize("module", ["eval.run", "eval.commands"])
def test_scores_of_text_need_no_torch(module):
    code = f"import sys, {module}; print([m for m in ('torch', 'transformers', 'vllm') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "module", ["labeling.cli", "labeling.run", "studies.report_text", "prompts.load", "eval", "eval.cli"]
)
def test_labels_need_no_heavy_package(module):
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
