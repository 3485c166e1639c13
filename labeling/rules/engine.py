"""The built-in engine: reads reports with lexicons and scopes, offline, without a language model, always the same."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from labeling.facts import MAX_SENTENCES, answer_model
from labeling.rules.devices import read_lines_and_tubes
from labeling.rules.findings import read_findings
from labeling.runtime.engine import Complaint, EngineError, Question, Reply

logger = logging.getLogger(__name__)


class RulesEngine:
    """Fills the same facts as a language model would; has no opinion on placement, which code decides anyway."""

    name = "rules"
    settings: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.model = f"rules-{_fingerprint()[:12]}"

    async def reply(self, question: Question, complaints: Sequence[Complaint]) -> Reply:  # noqa: ARG002
        """Answer from the report's sentences (`question.subject`).

        Raises:
            EngineError: the rules broke on this report; one report must not end a run of a million.
        """
        try:
            facts = read_facts(question.prompt_name, question.subject)
        except Exception as error:
            # the kind only: an exception's own words could hold some of the report's
            logger.error("rules failed on a question of prompt %s: %s", question.prompt_name, type(error).__name__)
            raise EngineError(f"the rules broke on this report ({type(error).__name__})") from error
        return Reply(json.dumps(facts, separators=(",", ":")))


def read_facts(prompt_name: str, sentences: Sequence[Any]) -> dict[str, Any]:
    """The wire answer to one prompt, as plain data."""
    findings = [_bounded(entry) for entry in read_findings(sentences)]
    if prompt_name == "findings":
        return {"findings": findings}
    devices = [_bounded(entry) for entry in read_lines_and_tubes(sentences, findings)]
    if prompt_name != "lines_and_tubes":
        fields = _entry_fields(prompt_name)
        devices = [{name: d[name] for name in fields} for d in devices if d["type"] == prompt_name]
    return {"lines_and_tubes": devices}


def _bounded(entry: dict[str, Any]) -> dict[str, Any]:
    """No more proof than the wire schema takes; the first sentences prove as well as all."""
    if len(entry["sentences"]) > MAX_SENTENCES:
        entry["sentences"] = entry["sentences"][:MAX_SENTENCES]
    return entry


@cache
def _entry_fields(prompt_name: str) -> tuple[str, ...]:
    schema = answer_model(prompt_name).model_json_schema()
    return tuple(schema["$defs"]["LineTubeFacts"]["properties"])


@cache
def _fingerprint() -> str:
    """Hash of every file the rules are made of: changed rules are another model, whose answers are not yet stored."""
    digest = hashlib.sha256()
    for file in sorted(_files(resources.files("labeling.rules")), key=lambda one: str(one)):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _files(folder: Traversable) -> list[Traversable]:
    found: list[Traversable] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _files(entry)
        elif entry.name.endswith((".py", ".toml")):
            found.append(entry)
    return found
