"""`python -m eval calibrate-judge` and `selfcheck`, as a user types them."""

import pytest

import eval.selfcheck
from eval import cli
from eval.selfcheck import Check
from tests.eval.commands import run_command, write_rows
from tests.eval.radfact.judge_stub import running_judge

# The stub entails a phrase that shares half of all words with a reference phrase. By hand, judge against people:
# h1 yes/yes, h2 no/no, h3 no/yes, h4 yes/no, so agreement is 1/2 and kappa (1/2 - 1/2) / (1 - 1/2) = 0.
STATEMENTS = tuple(
    {"pair_id": pair_id, "hypothesis": hypothesis, "reference": reference, "label": label}
    for pair_id, hypothesis, reference, label in (
        ("a", "No pleural effusion.", ["No pleural effusion."], "entailment"),
        ("a", "Heart enlarged.", ["No pleural effusion."], "neutral"),
        ("b", "No PTX.", ["Lungs are fully expanded."], "entailment"),
        ("b", "Left effusion.", ["Right effusion.", "Left effusion."], "contradiction"),
    )
)


@pytest.fixture
def statements(tmp_path):
    return write_rows(tmp_path / "statements.jsonl", STATEMENTS)


def calibrate(*arguments):
    return run_command("calibrate-judge", cli.calibrate_judge, arguments)


def test_agreement_and_kappa_are_those_derived_by_hand(statements, tmp_path):
    with running_judge() as stub:
        done = calibrate(statements, "--model", "m", "--base-url", stub.url, "--store", tmp_path / "kept")
    assert done.exit_code == 0
    assert "4 labelled statements of 2 report pairs; 0 judgments failed" in done.stdout
    lines = {line.split("  ")[0].strip(): line for line in done.stdout.splitlines()}
    assert "0.500 [" in lines["agreement"]
    assert "0.000 [" in lines["Cohen's kappa"]
    assert "sensitivity to entailment 0.500 [" in done.stdout
    assert "requests" in done.stderr


def test_the_same_command_asks_nothing_twice_and_other_resamples_change_the_interval(statements, tmp_path):
    with running_judge() as stub:
        flags = ("--model", "m", "--base-url", stub.url, "--store", tmp_path / "kept")
        first = calibrate(statements, *flags)
        asked = stub.stats.chat_requests
        again = calibrate(statements, *flags)
        few = calibrate(statements, *flags, "--replicates", 3, "--seed", 5)
        assert stub.stats.chat_requests == asked == 4
    assert first.stdout == again.stdout
    assert few.stdout != first.stdout


def test_prices_tell_the_cost(statements, tmp_path):
    with running_judge() as stub:
        flags = ("--model", "m", "--base-url", stub.url, "--store", tmp_path / "kept")
        done = calibrate(statements, *flags, "--price-in", 1e6, "--price-out", 0, "--price-cached", 0)
    assert ", $" in done.stderr


def test_failed_judgments_above_the_threshold_make_exit_code_3(tmp_path):
    lying = [*STATEMENTS, STATEMENTS[0] | {"hypothesis": "No effusion BADYAML."}]
    path = write_rows(tmp_path / "statements.jsonl", lying)
    with running_judge() as stub:
        flags = ("--model", "m", "--base-url", stub.url, "--store", tmp_path / "kept")
        done = calibrate(path, *flags)
        allowed = calibrate(path, *flags, "--max-failures", 0.2)
    assert (done.exit_code, allowed.exit_code) == (3, 0)
    assert "1 of 5 judgments failed" in done.stderr


@pytest.mark.parametrize(
    ("rows", "flags", "code", "complaint"),
    [
        (STATEMENTS, (), 2, "no judge named"),
        (STATEMENTS, ("--model", "m", "--base-url", "http://example.org/v1"), 2, "is not this machine"),
        (
            STATEMENTS,
            ("--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--max-attempts", 1),
            3,
            "nothing listens",
        ),
        (({"pair_id": "a"},), ("--model", "m", "--base-url", "http://127.0.0.1:9/v1"), 2, "line 1"),
    ],
)
def test_what_cannot_be_calibrated_ends_in_a_message(tmp_path, rows, flags, code, complaint):
    done = calibrate(write_rows(tmp_path / "s.jsonl", rows), *flags, "--store", tmp_path / "kept")
    assert done.exit_code == code
    assert complaint in done.stderr


def test_a_missing_file_is_named(tmp_path):
    done = calibrate(tmp_path / "none.jsonl", "--model", "m", "--base-url", "http://127.0.0.1:9/v1")
    assert done.exit_code == 2
    assert "none.jsonl: No such file" in done.stderr


@pytest.mark.parametrize(("passed", "code", "word"), [(True, 0, "pass"), (False, 3, "FAIL"), (None, 0, "skip")])
def test_selfcheck_says_each_check_and_fails_when_one_does(monkeypatch, passed, code, word):
    check = Check("a check", passed, "1 value agrees", 0.0, 0.1)
    monkeypatch.setattr(eval.selfcheck, "run_checks", lambda: iter([check]))
    done = run_command("selfcheck", cli.selfcheck, ())
    assert done.exit_code == code
    assert f"{word}  a check: 1 value agrees" in done.stdout
