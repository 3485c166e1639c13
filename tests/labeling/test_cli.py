"""The command as a user types it, in a process of its own."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from tests.stub_server import Fault, running_stub

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples" / "icu_reports.csv"
CHEST_TUBE = "Left chest tube in place, tip at the apex. No pneumothorax."


def run(*arguments, cwd=None, stdin=None, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return subprocess.run(
        [sys.executable, "-m", "labeling", "label", *map(str, arguments)],
        cwd=cwd or ROOT,
        input=stdin,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def write_reports(path, texts):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["report_id", "report"])
        writer.writerows(texts.items())
    return path


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def chest_tube_answer(*sentences):
    return {
        "lines_and_tubes": [
            {
                "type": "chest_tube",
                "sentences": list(sentences),
                "side": "left",
                "status": "in_place",
                "tip": "upper",
                "tip_distance_cm": None,
                "tip_landmark": None,
                "tip_direction": None,
                "stated": "satisfactory",
                "advice": "none",
                "pleural": "none",
                "pleural_sentences": [],
                "placement": "correct",
            }
        ]
    }


@pytest.fixture
def two_reports(tmp_path):
    return write_reports(tmp_path / "in.csv", {"A": CHEST_TUBE, "B": "Heart size is normal. Right chest tube kinked."})


class TestTheBuiltInRules:
    def test_every_reference_sentence_is_the_reports_text_at_its_offsets(self, tmp_path):
        done = run("--prompt", "all", EXAMPLES, "-o", tmp_path / "labels.jsonl")
        assert done.returncode == 0, done.stderr
        with EXAMPLES.open(encoding="utf-8", newline="") as file:
            texts = {row["report_id"]: row["report"] for row in csv.DictReader(file)}
        found = rows(tmp_path / "labels.jsonl")
        assert [row["report_id"] for row in found] == list(texts)
        proofs = 0
        for row in found:
            for entry in row["lines_and_tubes"] + row["findings"]:
                quoted = " ".join(texts[row["report_id"]][span["start"] : span["end"]] for span in entry["evidence"])
                assert quoted == entry.get("reference_sentence", entry.get("reference_phrase"))
                proofs += 1
        assert proofs > 100

    def test_one_line_says_that_no_language_model_was_used_and_how_to_name_one(self, tmp_path, two_reports):
        done = run("--prompt", "chest_tube", two_reports, "-o", tmp_path / "labels.jsonl")
        (line,) = [line for line in done.stderr.splitlines() if "No language model" in line]
        assert "--model" in line
        assert "--base-url" in line

    def test_one_type_is_asked_and_the_others_stay_unknown(self, tmp_path, two_reports):
        run("--prompt", "chest_tube", two_reports, "-o", tmp_path / "labels.jsonl")
        row = rows(tmp_path / "labels.jsonl")[1]
        assert row["line_tube_labels"]["chest_tube"] == {"count": 1, "placement": "incorrect"}
        assert row["line_tube_labels"]["picc"] is None
        assert row["line_tube_labels"]["no_tubes"] is None
        assert row["finding_labels"] is None
        assert row["prompt"] == "chest_tube"
        assert len(row["prompt_sha256"]) == 64

    def test_all_formats_hold_the_same_labels(self, tmp_path, two_reports):
        for suffix in ("jsonl", "parquet", "csv"):
            assert run("--prompt", "all", two_reports, "-o", tmp_path / f"labels.{suffix}").returncode == 0
        lines = rows(tmp_path / "labels.jsonl")
        table = duckdb.sql(f"SELECT * FROM '{tmp_path / 'labels.parquet'}'")
        assert [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()] == lines
        with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as file:
            flat = list(csv.DictReader(file))
        assert [json.loads(row["lines_and_tubes"]) for row in flat] == [row["lines_and_tubes"] for row in lines]
        assert [row["finding_cardiomegaly"] for row in flat] == [row["finding_labels"]["cardiomegaly"] for row in lines]
        assert [row["chest_tube_placement"] for row in flat] == ["correct", "incorrect"]

    def test_a_run_repeated_is_byte_identical_and_asks_nothing(self, tmp_path, two_reports):
        for name in ("one", "two"):
            for suffix in ("jsonl", "parquet", "csv"):
                done = run("--prompt", "all", two_reports, "-o", tmp_path / f"{name}.{suffix}")
        assert "0 answered now" in done.stderr
        for suffix in ("jsonl", "parquet", "csv"):
            assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()

    def test_show_prints_one_report_with_its_labels_and_proof(self, tmp_path, two_reports):
        done = run("--prompt", "chest_tube", two_reports, "--show", "B", cwd=tmp_path)
        assert done.returncode == 0
        assert "Right chest tube kinked." in done.stdout
        assert "placement incorrect (rule stated_malposition)" in done.stdout
        assert CHEST_TUBE not in done.stdout
        assert run("--prompt", "chest_tube", two_reports, "--show", "C", cwd=tmp_path).returncode == 2

    def test_dry_run_counts_and_asks_nothing(self, tmp_path, two_reports):
        done = run("--prompt", "all", two_reports, "-o", tmp_path / "labels.jsonl", "--dry-run")
        assert done.returncode == 0
        assert "2 reports, 4 questions, 0 answered before" in done.stdout
        assert not (tmp_path / "labels.jsonl").exists()

    def test_limit_and_sample_choose_reports(self, tmp_path):
        run("--prompt", "chest_tube", EXAMPLES, "-o", tmp_path / "l.jsonl", "--limit", 3)
        run("--prompt", "chest_tube", EXAMPLES, "-o", tmp_path / "a.jsonl", "--sample", 5, "--seed", 1)
        run("--prompt", "chest_tube", EXAMPLES, "-o", tmp_path / "b.jsonl", "--sample", 5, "--seed", 2)
        assert len(rows(tmp_path / "l.jsonl")) == 3
        one, two = ([row["report_id"] for row in rows(tmp_path / f"{n}.jsonl")] for n in "ab")
        assert len(one) == len(two) == 5
        assert one != two

    def test_settings_come_from_a_file_and_flags_win(self, tmp_path, two_reports):
        config = tmp_path / "run.toml"
        config.write_text(f'prompt = "picc"\ninput = "{two_reports}"\noutput = "{tmp_path / "a.jsonl"}"\nlimit = 1\n')
        assert run("--config", config).returncode == 0
        assert [row["prompt"] for row in rows(tmp_path / "a.jsonl")] == ["picc"]
        run("--config", config, "--prompt", "chest_tube", "--limit", 2)
        assert [row["prompt"] for row in rows(tmp_path / "a.jsonl")] == ["chest_tube"] * 2
        manifest = json.loads((tmp_path / "a.run.json").read_text())
        assert manifest["config"]["limit"] == 2
        assert manifest["rows"] == 2
        config.write_text('promt = "picc"\n')
        done = run("--config", config, two_reports, "-p", "picc", "-o", tmp_path / "a.jsonl")
        assert (done.returncode, "promt" in done.stderr) == (2, True)

    def test_standard_input_is_read_and_its_copy_removed(self, tmp_path, two_reports):
        done = run("--prompt", "chest_tube", "-o", tmp_path / "l.jsonl", stdin=two_reports.read_text())
        assert done.returncode == 0
        assert len(rows(tmp_path / "l.jsonl")) == 2
        assert not list((tmp_path / ".carina").glob("stdin*"))

    def test_help_names_the_exit_codes(self):
        done = run("--help")
        assert done.returncode == 0
        assert "Exit codes" in done.stdout


class TestBadInput:
    @pytest.mark.parametrize(
        ("content", "arguments", "complaint"),
        [
            ("", [], "is empty"),
            ("report_id,report\n", [], "no reports"),
            ("a,b\n1,x\n", [], "--id-column"),
            ("report_id,report\nA,x\nA,y\n", [], "report ids stand more than once: A"),
            ("report_id,report\nA,\nB,ETT\n", [], "report 'A': the report text is empty"),
            (b"report_id,report\nA,\xff\xfe\n", [], "is not utf-8"),
            (b"report_id,report\nA,\x00\x01\n", [], "binary"),
            ("report_id,report\nA," + "ETT in place. " * 80_000 + "\n", [], "characters"),
            ("report_id,report\nA,Der Tubus liegt mit der Spitze vor der Carina. Kein Erguss.\n", [], "English"),
            ("report_id,report\nA,x\n", ["--prompt", "chest_tub"], "chest_tube"),
            ("report_id,report\nA,x\n", ["--config", "/nowhere.toml"], "/nowhere.toml"),
            ("report_id,report\nA,x\n", ["--text-column", "body"], "its columns: report_id, report"),
            ("report_id,report\nA,x\n", ["-o", "labels.xlsx"], ".jsonl, .parquet or .csv"),
            ("report_id,report\nA,x\n", ["--concurrency", "1000", "--model", "m"], "concurrency"),
            ("report_id,report\nA,x\n", ["--placement-tables", "/nowhere"], "placement table"),
        ],
    )
    def test_is_refused_in_one_message_with_exit_code_2_and_no_output(self, tmp_path, content, arguments, complaint):
        file = tmp_path / "in.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        defaults = [] if "--prompt" in arguments else ["--prompt", "chest_tube"]
        output = [] if "-o" in arguments else ["-o", tmp_path / "labels.jsonl"]
        done = run(*defaults, file, *output, *arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert complaint in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(tmp_path.glob("labels*"))

    def test_a_missing_file_is_named(self, tmp_path):
        done = run("--prompt", "chest_tube", tmp_path / "none.csv", "-o", tmp_path / "labels.jsonl")
        assert done.returncode == 2
        assert "none.csv does not exist" in done.stderr

    def test_bad_reports_become_failures_when_allowed(self, tmp_path):
        file = write_reports(tmp_path / "in.csv", {"A": " ", "B": CHEST_TUBE})
        done = run("--prompt", "chest_tube", file, "-o", tmp_path / "labels.jsonl", "--allow-bad-rows")
        assert done.returncode == 0
        assert [row["report_id"] for row in rows(tmp_path / "labels.jsonl")] == ["B"]
        (failure,) = rows(tmp_path / "labels.failures.jsonl")
        assert failure["report_id"] == "A"
        assert "empty" in failure["reason"]

    def test_text_that_no_file_can_hold_is_a_failure_like_any_other(self, tmp_path):
        file = tmp_path / "in.jsonl"
        file.write_text('{"id": "A\\ud83d", "text": "ETT in place."}\n{"id": "B", "text": "PICC in SVC."}\n')
        assert run("-p", "picc", file, "-o", tmp_path / "labels.jsonl").returncode == 2
        assert run("-p", "picc", file, "-o", tmp_path / "labels.jsonl", "--allow-bad-rows").returncode == 0
        assert [row["report_id"] for row in rows(tmp_path / "labels.failures.jsonl")] == ["A\ud83d"]
        assert [row["report_id"] for row in rows(tmp_path / "labels.jsonl")] == ["B"]


class TestALanguageModel:
    def ask(self, tmp_path, reports, stub, *arguments, output="labels.jsonl", prompt="chest_tube"):
        fast = ["--model", "stub-model", "--base-url", stub.url, "--max-attempts", "2", "--request-timeout-s", "2"]
        return run("--prompt", prompt, reports, "-o", tmp_path / output, *fast, *arguments)

    def test_answers_become_rows_with_proof_and_the_models_own_opinion(self, tmp_path, two_reports):
        with running_stub(answers={"apex": chest_tube_answer(1)}) as stub:
            done = self.ask(tmp_path, two_reports, stub)
        assert done.returncode == 0, done.stderr
        first, second = rows(tmp_path / "labels.jsonl")
        (tube,) = first["lines_and_tubes"]
        assert tube["reference_sentence"] == "Left chest tube in place, tip at the apex."
        assert (tube["placement"], tube["model_placement"], tube["review"]) == ("correct", "correct", [])
        assert (first["engine"], first["model"]) == ("endpoint", "stub-model")
        assert second["lines_and_tubes"] == []

    def test_disagreement_with_the_table_is_marked_for_review(self, tmp_path, two_reports):
        answer = chest_tube_answer(1)
        answer["lines_and_tubes"][0]["placement"] = "incorrect"
        with running_stub(answers={"apex": answer}) as stub:
            self.ask(tmp_path, two_reports, stub)
        (tube,) = rows(tmp_path / "labels.jsonl")[0]["lines_and_tubes"]
        assert (tube["placement"], tube["review"]) == ("correct", ["model_disagrees"])

    def test_the_same_report_is_asked_once_also_under_other_ids_and_in_other_files(self, tmp_path, two_reports):
        other = write_reports(tmp_path / "other.csv", {"X": CHEST_TUBE, "Y": CHEST_TUBE, "Z": "No tubes."})
        with running_stub() as stub:
            self.ask(tmp_path, two_reports, stub)
            assert stub.stats.chat_requests == 2
            self.ask(tmp_path, other, stub, output="other.jsonl")
            assert stub.stats.chat_requests == 3
            self.ask(tmp_path, other, stub, "--temperature", "0.5", output="warm.jsonl")
            assert stub.stats.chat_requests == 5
        assert len(rows(tmp_path / "other.jsonl")) == 3

    @pytest.mark.parametrize(
        ("fault", "reason"),
        [
            ("401", "401"),
            ("404", "404"),
            ("429", "429"),
            ("500", "500"),
            ("timeout", "time"),
            ("reset", ""),
            ("truncated_json", ""),
            ("not_json", "not JSON"),
            ("wrong_schema", "schema"),
            ("length", ""),
            ("no_choices", ""),
        ],
    )
    def test_a_fault_that_stays_becomes_a_named_failure_and_never_a_label(self, tmp_path, two_reports, fault, reason):
        rule = Fault(fault, retry_after="0.1" if fault == "429" else None)
        with running_stub(faults=[rule]) as stub:
            done = self.ask(tmp_path, two_reports, stub, "--request-timeout-s", "0.5", "--limit", "1")
        assert done.returncode == 3, done.stderr
        assert "Traceback" not in done.stderr
        (failure,) = rows(tmp_path / "labels.failures.jsonl")
        assert failure["report_id"] == "A"
        assert reason in failure["reason"]
        assert not rows(tmp_path / "labels.jsonl")
        assert "apex" not in done.stderr + json.dumps(failure)

    def test_sentences_that_do_not_exist_or_do_not_name_the_device_are_refused_and_can_be_corrected(
        self, tmp_path, two_reports
    ):
        wrong = [chest_tube_answer(7), chest_tube_answer(2)]
        faults = [Fault("answer", times=1, marker="apex", answer=json.dumps(wrong[0]))]
        faults.append(Fault("answer", times=1, marker="sentence 7 does not exist", answer=json.dumps(wrong[1])))
        with running_stub(faults=faults, answers={"names": chest_tube_answer(1)}) as stub:
            done = self.ask(tmp_path, two_reports, stub)
            assert stub.stats.chat_requests == 4
        assert done.returncode == 0, done.stderr
        assert len(rows(tmp_path / "labels.jsonl")[0]["lines_and_tubes"]) == 1

    def test_a_share_of_failures_within_the_limit_is_no_error(self, tmp_path, two_reports):
        with running_stub(faults=[Fault("wrong_schema", times=3)]) as stub:
            done = self.ask(tmp_path, two_reports, stub, "--max-failures", "0.5", "--concurrency", "1")
        assert done.returncode == 0

    def test_failed_reports_are_asked_again_and_the_failures_file_goes(self, tmp_path, two_reports):
        with running_stub(faults=[Fault("500", times=2, marker="apex")]) as stub:
            assert self.ask(tmp_path, two_reports, stub, "--max-attempts", "1").returncode == 3
            asked = stub.stats.chat_requests
            stub.faults.clear()
            assert self.ask(tmp_path, two_reports, stub, "--max-attempts", "1").returncode == 0
            assert stub.stats.chat_requests == asked + 1
        assert not (tmp_path / "labels.failures.jsonl").exists()

    def test_a_server_that_is_not_there_is_a_named_failure(self, tmp_path, two_reports):
        done = run(
            *("--prompt", "chest_tube", two_reports, "-o", tmp_path / "labels.jsonl"),
            *("--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--max-attempts", "1"),
        )
        assert done.returncode == 3
        assert len(rows(tmp_path / "labels.failures.jsonl")) == 2

    def test_the_only_model_served_is_taken(self, tmp_path, two_reports):
        with running_stub() as stub:
            done = run("-p", "picc", two_reports, "-o", tmp_path / "labels.jsonl", "--base-url", stub.url)
            assert stub.stats.chat_requests == 2
        assert rows(tmp_path / "labels.jsonl")[0]["model"] == "stub-model", done.stderr
        with running_stub(models=("a", "b")) as stub:
            done = run("-p", "picc", two_reports, "-o", tmp_path / "b.jsonl", "--base-url", stub.url)
        assert (done.returncode, "a, b" in done.stderr) == (2, True)

    @pytest.mark.parametrize("arguments", [["--model", "gpt-4o"], ["--base-url", "http://example.com/v1"]])
    def test_nothing_is_sent_to_another_machine_unless_allowed(self, tmp_path, two_reports, arguments):
        done = run("--prompt", "picc", two_reports, "-o", tmp_path / "labels.jsonl", *arguments)
        assert done.returncode == 2
        assert "--allow-remote" in done.stderr
        assert "patients' data" in done.stderr

    def test_a_server_in_the_environment_alone_is_not_asked(self, tmp_path, two_reports):
        with running_stub() as stub:
            arguments = ("--prompt", "picc", two_reports, "-o", tmp_path / "labels.jsonl")
            run(*arguments, OPENAI_BASE_URL=stub.url, OPENAI_API_KEY="secret")
            assert stub.stats.chat_requests == 0

    def test_cost_counts_failed_attempts(self, tmp_path, two_reports):
        prices = ("--price-in", "1000", "--price-out", "1000")
        with running_stub(faults=[Fault("wrong_schema", times=2)], completion_tokens=500) as stub:
            done = self.ask(tmp_path, two_reports, stub, *prices)
        usage = json.loads((tmp_path / "labels.run.json").read_text())["usage"]
        assert usage["requests"] == 4
        assert usage["completion_tokens"] == 4 * 500
        assert f"${(usage['prompt_tokens'] + 2000) / 1000:,.2f}" in done.stderr

    def test_a_dry_run_estimates_tokens_without_a_request(self, tmp_path, two_reports):
        with running_stub() as stub:
            done = self.ask(tmp_path, two_reports, stub, "--dry-run", "--price-in", "2", "--price-out", "8")
            assert stub.stats.chat_requests == 0
        assert "prompt tokens" in done.stdout
        assert "$" in done.stdout


class TestOptions:
    """Every option changes what is sent or what comes out."""

    @pytest.fixture
    def sent(self, tmp_path, two_reports):
        """Run with options and give the last request's body."""

        def send(*options, **stub_settings):
            with running_stub(**stub_settings) as stub:
                arguments = ("-p", "picc", two_reports, "-o", tmp_path / "labels.jsonl", "--base-url", stub.url)
                done = run(*arguments, *options)
                assert done.returncode == 0, done.stderr
                return stub.body_of(-1), stub.stats, done

        return send

    def test_sampling_settings_and_answer_length_reach_the_server(self, sent):
        body, _, _ = sent("--temperature", "0.5", "--max-tokens", "99")
        assert (body["temperature"], body["max_tokens"]) == (0.5, 99)
        body, _, _ = sent("--server-sampling")
        assert not {"temperature", "seed"} & set(body)

    def test_the_schema_is_sent_as_asked_for(self, sent):
        body, _, _ = sent()
        assert body["response_format"]["type"] == "json_schema"
        body, _, _ = sent("--structured-output", "json_object", answers={"": {"lines_and_tubes": []}})
        assert body["response_format"]["type"] == "json_object"

    def test_the_report_comes_last_and_the_static_part_is_the_same_for_all(self, sent):
        _, stats, _ = sent()
        first, second = (json.loads(body)["messages"] for body in stats.bodies)
        assert first[:-1] == second[:-1]
        assert "[1] Left chest tube in place" in first[-1]["content"] + second[-1]["content"]

    @pytest.mark.parametrize(("concurrency", "most"), [("1", 1), ("2", 2)])
    def test_concurrency_bounds_what_is_in_flight(self, sent, concurrency, most):
        _, stats, _ = sent("--concurrency", concurrency, latency_s=0.2)
        assert stats.max_in_flight == most

    @pytest.mark.parametrize("limit", [("--requests-per-minute", "60"), ("--tokens-per-minute", "120000")])
    def test_rate_limits_space_the_requests(self, sent, limit):
        _, stats, _ = sent(*limit)
        first, second = stats.times_s
        assert second - first > 0.5  # a request, and some 2,000 tokens, take a second each

    def test_cached_tokens_have_their_own_price(self, sent):
        prices = ("--price-in", "1000", "--price-out", "0")
        _, _, full = sent(*prices)
        _, _, reduced = sent(*prices, "--price-cached", "0", "--temperature", "0.1")
        dollars = [float(done.stderr.rsplit("$", 1)[1].split(")")[0]) for done in (full, reduced)]
        assert dollars[0] - dollars[1] == pytest.approx(2 * 640 / 1000, abs=0.02)  # the stub caches 640 a request

    def test_a_store_can_be_shared(self, tmp_path, two_reports):
        for folder in ("a", "b"):
            output = tmp_path / folder / "labels.jsonl"
            done = run("-p", "picc", two_reports, "-o", output, "--store", tmp_path / "store")
        assert "0 answered now, 2 known before" in done.stderr
        assert (tmp_path / "store" / "answers.sqlite").exists()
        assert not (tmp_path / "a" / ".carina").exists()

    def test_own_placement_tables_decide(self, tmp_path):
        tables = tmp_path / "tables"
        shutil.copytree(ROOT / "labeling" / "placement", tables, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        table = tables / "endotracheal_tube.toml"
        table.write_text(table.read_text().replace('borderline = "unclear"', 'borderline = "incorrect"'))
        reports = write_reports(tmp_path / "in.csv", {"A": "ETT tip is 2.5 cm above the carina."})
        found = []
        for options in ((), ("--placement-tables", tables)):
            run("-p", "endotracheal_tube", reports, "-o", tmp_path / "labels.jsonl", *options)
            found.append(rows(tmp_path / "labels.jsonl")[0]["lines_and_tubes"][0]["placement"])
        assert found == ["unclear", "incorrect"]

    def test_an_encoding_can_be_named(self, tmp_path):
        file = tmp_path / "in.csv"
        file.write_bytes("report_id,report\nA,No tube – normal heart.\n".encode("cp1252"))
        assert run("-p", "picc", file, "-o", tmp_path / "labels.jsonl").returncode == 2
        assert run("-p", "picc", file, "-o", tmp_path / "labels.jsonl", "--encoding", "cp1252").returncode == 0

    def test_another_machine_is_asked_when_allowed(self, tmp_path, two_reports):
        # 0.0.0.0 leads here, but is not taken for this machine: it is no loopback address.
        with running_stub() as stub:
            url = stub.url.replace("127.0.0.1", "0.0.0.0")
            arguments = ("-p", "picc", two_reports, "-o", tmp_path / "labels.jsonl", "--model", "m", "--base-url", url)
            assert run(*arguments).returncode == 2
            assert stub.stats.chat_requests == 0
            assert run(*arguments, "--allow-remote", NO_PROXY="0.0.0.0").returncode == 0
            assert stub.stats.chat_requests == 2


class TestInterruption:
    """Killed, stopped or out of disk: the same command ends with what an undisturbed run gives."""

    REPORTS = 60

    @pytest.fixture
    def reports(self, tmp_path):
        texts = {f"R{n}": f"Left chest tube number {n} in place. Heart size is normal." for n in range(self.REPORTS)}
        return write_reports(tmp_path / "in.csv", texts)

    def start(self, tmp_path, reports, stub):
        arguments = ["--prompt", "chest_tube", reports, "-o", tmp_path / "labels.jsonl", "--concurrency", "4"]
        return subprocess.Popen(
            [sys.executable, "-m", "labeling", "label", *map(str, arguments), "--model", "m", "--base-url", stub.url],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )

    def undisturbed(self, tmp_path, reports, stub):
        folder = tmp_path / "undisturbed"
        done = run(
            *("--prompt", "chest_tube", reports, "-o", folder / "labels.jsonl"),
            *("--model", "m", "--base-url", stub.url),
        )
        assert done.returncode == 0
        return (folder / "labels.jsonl").read_bytes()

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    @pytest.mark.parametrize("after", [1, 20, 50])
    def test_the_same_command_goes_on_and_ends_the_same(self, tmp_path, reports, how, after):
        with running_stub(latency_s=0.03, answers={"number": chest_tube_answer(1)}) as stub:
            process = self.start(tmp_path, reports, stub)
            while stub.stats.chat_requests < after:
                time.sleep(0.005)
            process.send_signal(how)
            _, stderr = process.communicate(timeout=30)
            if how is signal.SIGINT:
                assert process.returncode == 130, stderr
                assert "Traceback" not in stderr
            assert not (tmp_path / "labels.jsonl").exists()
            asked = stub.stats.chat_requests
            second = self.start(tmp_path, reports, stub)
            second.communicate(timeout=60)
            assert second.returncode == 0
            # Only what was in flight, or answered in the last moment before the kill, is asked again.
            assert stub.stats.chat_requests <= self.REPORTS + 4 * 4
            assert asked + self.REPORTS > stub.stats.chat_requests or after == 1
            assert (tmp_path / "labels.jsonl").read_bytes() == self.undisturbed(tmp_path, reports, stub)

    def test_a_full_disk_is_one_message_and_the_answers_before_it_are_kept(self, tmp_path, reports):
        # A file size limit is what a full disk is to the process: its writes fail.
        with running_stub(answers={"number": chest_tube_answer(1)}) as stub:
            arguments = ["--prompt", "chest_tube", str(reports), "-o", str(tmp_path / "labels.jsonl")]
            code = (
                "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
                "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
                "from labeling.cli import app; app()"
            )
            command = [sys.executable, "-c", code, "label", *arguments, "--model", "m", "--base-url", stub.url]
            full = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
            assert full.returncode == 1, full.stderr
            assert "Traceback" not in full.stderr
            assert not (tmp_path / "labels.jsonl").exists()
            done = run(*arguments, "--model", "m", "--base-url", stub.url)
            assert done.returncode == 0
            assert (tmp_path / "labels.jsonl").read_bytes() == self.undisturbed(tmp_path, reports, stub)
