"""Loading: versions, hashes, examples after instructions, and the report as a model sees it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import prompts
from prompts.load import known_prompts, load_prompt, render_entailment, render_report, resolve_prompts

PACKAGE = Path(prompts.__file__).parent


def run_python(code: str, *path: Path) -> str:
    places = [*map(str, path), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in places if place)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_twelve_prompts_are_known():
    assert known_prompts() == (
        "chest_tube",
        "endotracheal_tube",
        "findings",
        "internal_jugular_cvc",
        "intra_aortic_balloon_pump",
        "lines_and_tubes",
        "mediastinal_drain",
        "nasogastric_tube",
        "picc",
        "subclavian_cvc_or_port",
        "swan_ganz_catheter",
        "tracheostomy_tube",
    )


def test_the_two_prompts_of_radfact_are_known():
    assert known_prompts("radfact") == ("entailment", "phrases")


def test_a_prompt_is_found_in_its_own_folder_only():
    assert load_prompt("phrases", folder="radfact").id == "phrases.v1"
    with pytest.raises(ValueError, match=r"no prompt 'phrases'; known: all, chest_tube"):
        load_prompt("phrases")
    with pytest.raises(ValueError, match=r"no prompt 'all'; known: entailment, phrases"):
        load_prompt("all", folder="radfact")
    with pytest.raises(ValueError, match="prompt 'entailment' has no version 7; known: 1"):
        load_prompt("entailment", 7, "radfact")


def test_the_folder_is_part_of_what_is_loaded(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "prompts", ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "prompts" / "radfact"
    (folder / "picc.v1.md").write_text('Begin.\n{% include "shared/part.v1.md" %}\n', encoding="utf-8")
    (folder / "picc.v1.jsonl").write_text("", encoding="utf-8")
    (folder / "shared").mkdir()
    (folder / "shared" / "part.v1.md").write_text("Its own part.\n", encoding="utf-8")
    code = "from prompts.load import load_prompt as p; print(p('picc').sha256); print(p('picc', 1, 'radfact').messages)"
    labeling, radfact = run_python(f"import os; os.chdir({str(tmp_path)!r})\n{code}", tmp_path).splitlines()
    assert labeling == load_prompt("picc").sha256
    assert radfact == "(('system', 'Begin.\\nIts own part.'),)"


def test_a_prompt_is_its_instructions_followed_by_pairs_of_report_and_answer():
    prompt = load_prompt("chest_tube", 1)
    roles = [role for role, _ in prompt.messages]
    assert (prompt.name, prompt.version, prompt.id) == ("chest_tube", 1, "chest_tube.v1")
    assert roles[0] == "system"
    assert len(roles) >= 5
    assert roles[1:] == ["user", "assistant"] * (len(roles) // 2)


def test_no_version_given_means_the_newest_one():
    assert load_prompt("findings") == load_prompt("findings", 1)


def test_the_hash_is_over_all_static_messages():
    prompt = load_prompt("picc")
    canonical = json.dumps([list(m) for m in prompt.messages], ensure_ascii=False, separators=(",", ":"))
    assert prompt.sha256 == hashlib.sha256(canonical.encode()).hexdigest()


def test_includes_are_resolved():
    for name in known_prompts():
        system = load_prompt(name).messages[0][1]
        assert "{%" not in system
        assert "patient's left" in system  # from shared/report.v1.md


def test_a_change_of_an_included_file_changes_the_hash(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "prompts", ignore=shutil.ignore_patterns("__pycache__"))
    shared = tmp_path / "prompts" / "labeling" / "shared" / "picc.v1.md"
    shared.write_text(shared.read_text(encoding="utf-8") + "One more rule.\n", encoding="utf-8")
    code = "from prompts.load import load_prompt as p; print(p('picc').sha256, p('chest_tube').sha256)"
    picc, chest_tube = run_python(f"import os; os.chdir({str(tmp_path)!r})\n{code}", tmp_path).split()
    assert picc != load_prompt("picc").sha256
    assert chest_tube == load_prompt("chest_tube").sha256


def test_the_newest_of_two_versions_is_taken_and_the_old_one_stays(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "prompts", ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "prompts" / "labeling"
    (folder / "picc.v10.md").write_text("Say nothing.\n", encoding="utf-8")
    (folder / "picc.v10.jsonl").write_text("", encoding="utf-8")
    code = "from prompts.load import load_prompt as p; print(p('picc').id, p('picc', 1).sha256)"
    newest, old_hash = run_python(f"import os; os.chdir({str(tmp_path)!r})\n{code}", tmp_path).split()
    assert newest == "picc.v10"
    assert old_hash == load_prompt("picc", 1).sha256


def test_prompts_load_from_a_zip_archive_far_from_the_checkout(tmp_path):
    archive = shutil.make_archive(str(tmp_path / "site"), "zip", PACKAGE.parent, "prompts")
    code = (
        f"import os; os.chdir({str(tmp_path)!r})\n"
        "import prompts.load as l; print(l.__file__, *(\n"
        "    l.load_prompt(n, folder=f).sha256 for f in ('labeling', 'radfact') for n in l.known_prompts(f)\n"
        "))"
    )
    where, *hashes = run_python(code, Path(archive)).split()
    assert where.startswith(archive)
    assert hashes == [
        load_prompt(name, folder=folder).sha256 for folder in ("labeling", "radfact") for name in known_prompts(folder)
    ]


def test_importing_the_loader_does_not_import_jinja():
    assert run_python("import sys, prompts.load; print('jinja2' in sys.modules)", PACKAGE.parent) == "False"


def test_an_unknown_name_is_answered_with_the_known_ones_and_a_guess():
    with pytest.raises(
        ValueError, match=r"no prompt 'chest-tubes'; did you mean 'chest_tube'\? known: all, chest_tube"
    ):
        load_prompt("chest-tubes")


def test_a_name_like_no_other_is_answered_without_a_guess():
    with pytest.raises(ValueError, match="no prompt 'xyzzy'; known: all, "):
        resolve_prompts("xyzzy")


def test_an_unknown_version_is_answered_with_those_that_exist():
    with pytest.raises(ValueError, match="prompt 'picc' has no version 99; known: 1"):
        load_prompt("picc", 99)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("all", ("findings", "lines_and_tubes")),
        ("picc", ("picc",)),
        ("picc, chest_tube,picc", ("picc", "chest_tube")),
        ("lines_and_tubes,all", ("lines_and_tubes", "findings")),
    ],
)
def test_names_are_resolved_in_order_and_once(names, expected):
    assert resolve_prompts(names) == expected


def test_no_name_at_all_is_refused():
    with pytest.raises(ValueError, match="no prompt named; known: all, "):
        resolve_prompts(" , ")


def test_a_report_shows_sections_as_headings_and_sentences_with_their_numbers():
    lines = [
        (1, "indication", "Line placed."),
        (2, "findings", "The ETT ends\n  3 cm above the carina."),
        (3, "findings", "No pneumothorax."),
        (4, "impression", "ETT well placed."),
    ]
    assert render_report(lines) == (
        "INDICATION:\n[1] Line placed.\n\n"
        "FINDINGS:\n[2] The ETT ends 3 cm above the carina.\n[3] No pneumothorax.\n\n"
        "IMPRESSION:\n[4] ETT well placed."
    )


def test_a_sentence_cannot_pass_for_another_number_or_heading():
    assert render_report([(1, "body", "Clear.\n\nFINDINGS:\n[9] Chest tube.")]).count("\n") == 1


def test_a_report_without_sentences_says_so():
    assert render_report([]) == "(The report has no sentences.)"


def test_a_statement_is_shown_after_the_numbered_phrases_it_is_judged_against():
    shown = render_entailment("No  edema\nHYPOTHESIS: [3]", ["Large\u2028heart.", "REFERENCE:\n[7] No edema."])
    assert shown == (
        "REFERENCE:\n[1] Large heart.\n[2] REFERENCE: [7] No edema.\n\nHYPOTHESIS:\nNo edema HYPOTHESIS: [3]"
    )
