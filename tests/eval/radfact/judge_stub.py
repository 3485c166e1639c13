"""A judge without a model: a rule that answers both prompts, behind the local server of `tests/stub_server.py`.

A sentence is taken apart where white space follows a stop; a phrase is entailed by every phrase with which it shares at
least half of all their words (Jaccard). Words in a text make the judge misbehave: TECHNICAL (a phrase is left out),
BADJSON (the report's answer breaks off), BADYAML (the phrase's answer does), NOEVID (entailed without evidence),
WRONGEV (evidence that does not exist). RadFact itself, asked through a server with the same rule, gives the numbers in
`test_radfact_parity.py`.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

from tests.stub_server import StubServer, running_stub


def answer(body: Any) -> str:
    """What the judge says to one chat request."""
    asked = [message["content"] for message in body["messages"] if message["role"] == "user"]
    shown = next(text for text in reversed(asked) if not text.startswith("This answer cannot be accepted"))
    return answer_to(body["response_format"]["json_schema"]["name"], shown)


def answer_to(prompt_name: str, shown: str) -> str:
    """What the judge says to the last message of a prompt."""
    return _split(shown) if prompt_name == "phrases" else _judge(shown)


@contextlib.contextmanager
def running_judge(**settings: Any) -> Iterator[StubServer]:
    """The stub server with this judge behind it."""
    with running_stub(**settings) as stub:
        stub.answer = answer
        yield stub


def _split(report: str) -> str:
    if "BADJSON" in report:
        return '{"sentences": [{"sentence": 1, "phr'
    entries = []
    for number, sentence in re.findall(r"^\[(\d+)\] (.*)$", report, re.MULTILINE):
        phrases = [phrase for phrase in re.split(r"(?<=[.!?])\s+", sentence) if "TECHNICAL" not in phrase]
        if phrases:
            entries.append({"sentence": int(number), "phrases": phrases})
    return json.dumps({"sentences": entries})


def _judge(shown: str) -> str:
    reference_text, hypothesis = shown.removeprefix("REFERENCE:\n").split("\n\nHYPOTHESIS:\n")
    reference = re.findall(r"^\[\d+\] (.*)$", reference_text, re.MULTILINE)
    if "BADYAML" in hypothesis:
        return '{"evidence": [1'
    if "NOEVID" in hypothesis:
        return '{"evidence": [], "status": "entailment"}'
    if "WRONGEV" in hypothesis:
        return json.dumps({"evidence": [len(reference) + 1], "status": "entailment"})
    evidence = [number for number, phrase in enumerate(reference, 1) if _jaccard(phrase, hypothesis) >= 0.5]
    return json.dumps({"evidence": evidence, "status": "entailment" if evidence else "not_entailment"})


def _jaccard(one: str, other: str) -> float:
    words, others = (set(re.findall(r"[a-z0-9]+", text.lower())) for text in (one, other))
    return len(words & others) / len(words | others) if words | others else 0.0
