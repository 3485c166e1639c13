"""A released prompt never changes: every file of a folder of prompts stands in RELEASED.sha256, byte for byte."""

import hashlib
import re
from pathlib import Path

import pytest

import prompts

PACKAGE = Path(prompts.__file__).parent
LISTED = dict(
    reversed(line.split("  ", 1)) for line in (PACKAGE / "RELEASED.sha256").read_text(encoding="utf-8").splitlines()
)
FOLDERS = ("generation", "labeling", "radfact")
PRESENT = sorted(
    path.relative_to(PACKAGE).as_posix()
    for folder in FOLDERS
    for path in (PACKAGE / folder).rglob("*")
    if path.is_file()
)


def test_every_prompt_file_is_released_and_every_released_file_is_there():
    assert sorted(LISTED) == PRESENT, (
        f"release a new file: cd prompts && find {' '.join(FOLDERS)} -type f | LC_ALL=C sort | xargs sha256sum "
        "> RELEASED.sha256"
    )


@pytest.mark.parametrize("path", PRESENT)
def test_a_released_file_has_not_changed(path):
    actual = hashlib.sha256((PACKAGE / path).read_bytes()).hexdigest()
    assert actual == LISTED.get(path), f"{path} is released and must not change: write the next version beside it"


@pytest.mark.parametrize("path", PRESENT)
def test_a_prompt_file_bears_a_version_and_plain_line_ends(path):
    assert re.fullmatch(r"[a-z_]+\.v[1-9][0-9]*\.(md|jsonl)", Path(path).name)
    assert b"\r" not in (PACKAGE / path).read_bytes()


# Those of generation have slots: tests/prompts/test_report_prompt.py.
@pytest.mark.parametrize("path", [path for path in PRESENT if path.endswith(".md") and "generation/" not in path])
def test_jinja_is_used_for_nothing_but_includes_of_versioned_parts(path):
    text = (PACKAGE / path).read_text(encoding="utf-8")
    without = re.sub(r'\{% include "shared/[a-z_]+\.v[1-9][0-9]*\.md" %\}', "", text)
    assert not re.search(r"\{%|\{\{|\{#", without)
