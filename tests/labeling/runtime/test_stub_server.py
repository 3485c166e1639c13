"""The stub itself, as the script that benchmarks and other tests start."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from labeling.facts import answer_model, wire_schema
from labeling.vocabulary import LineTubeType
from tests.stub_server import Fault, smallest_instance

urlopen = build_opener(ProxyHandler({})).open  # whatever proxy the environment names
SCRIPT = Path(__file__).parents[2] / "stub_server.py"


@contextmanager
def script(*arguments):
    process = subprocess.Popen([sys.executable, str(SCRIPT), *arguments], stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def chat(url, text):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    with urlopen(Request(f"{url}/v1/chat/completions", body), timeout=10) as response:
        return json.load(response)["choices"][0]["message"]["content"]


def test_the_script_follows_its_rules_and_counts(tmp_path):
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"tube": {"seen": True}}))
    faults = json.dumps([{"fault": "not_json", "times": 1, "marker": "odd"}])
    with script("--answers", str(answers), "--faults", faults, "--model", "one") as url:
        assert chat(url, "an odd tube").startswith("Certainly")
        assert json.loads(chat(url, "an odd tube")) == {"seen": True}
        with urlopen(f"{url}/stub/stats", timeout=10) as response:
            stats = json.load(response)
        with urlopen(f"{url}/v1/models", timeout=10) as response:
            models = [entry["id"] for entry in json.load(response)["data"]]
    assert (stats["chat_requests"], stats["faults"], len(stats["bodies"])) == (2, {"not_json": 1}, 2)
    assert models == ["one"]


@pytest.mark.parametrize("prompt_name", ["findings", "lines_and_tubes", *LineTubeType])
def test_its_smallest_answer_follows_each_prompt_s_schema(prompt_name):
    schema = wire_schema(prompt_name)
    answer_model(prompt_name).model_validate_json(json.dumps(smallest_instance(schema, schema)))


def test_a_fault_it_does_not_know_is_refused():
    with pytest.raises(ValueError, match="no fault 'meteor'; known: 401"):
        Fault("meteor")
