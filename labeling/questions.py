"""One report and one prompt -> a question with its content address."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from labeling.facts import WIRE_VERSION, wire_schema
from labeling.runtime.engine import Engine, Message, Question
from prompts.load import Prompt, render_report
from studies.records import Report
from studies.report_text import Sentence


class QuestionMaker:
    """Makes one prompt's questions for one engine.

    The address covers all that can change an answer: the report's exact text and how it was numbered, the prompt, the
    wire schema, the engine, its model and its settings. Where a server runs is left out, so that work goes on when it
    moves; report ids and file names too, so that a report is asked about once wherever it turns up.
    """

    def __init__(self, prompt: Prompt, engine: Engine) -> None:
        self._name = prompt.name
        self._prefix = tuple(Message(role, content) for role, content in prompt.messages)
        self._schema: dict[str, Any] = wire_schema(prompt.name)
        what = [prompt.id, prompt.sha256, WIRE_VERSION, self._schema, engine.name, engine.model, dict(engine.settings)]
        self._base = hashlib.blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=16)

    def make(self, report: Report, sentences: Sequence[Sentence]) -> Question:
        """Give the question; its text is only made when an engine asks for it."""
        address = self._base.copy()
        address.update(report.text.encode("utf-8", "surrogatepass"))
        address.update(repr([(s.start, s.end, s.section.value) for s in sentences]).encode())
        return Question(
            key=address.digest(),
            prompt_name=self._name,
            prefix=self._prefix,
            render=lambda: render_report((s.number, s.section.value, s.text) for s in sentences),
            schema=self._schema,
            subject=sentences,
        )
