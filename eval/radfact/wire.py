"""What the judge is asked and what it may answer: a report's phrases, and whether one phrase follows from others.

As in `labeling.facts` nothing is optional and no string is bounded; arrays are, so that a weak model that repeats
itself must close its JSON. Phrases are named by their number, so that evidence is either there or not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labeling.runtime.engine import Engine, InvalidAnswer, Message, Question
from labeling.runtime.wire import bare_schema, invalid
from prompts.load import Prompt, load_prompt, render_entailment, render_report
from studies.report_text import Sentence

WIRE_VERSION = "1"
FOLDER = "radfact"
SPLIT, ENTAILMENT = "phrases", "entailment"  # the two prompts
MAX_SENTENCES, MAX_PHRASES, MAX_EVIDENCE = 128, 24, 32
UNKNOWN_SENTENCE, REPEATED_SENTENCE = "names a sentence that does not exist", "names a sentence twice"
NO_EVIDENCE, UNKNOWN_EVIDENCE = "entails without evidence", "cites evidence that does not exist"
Number = Annotated[int, Field(ge=1)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)  # "3" is no number; a misspelt key is an error


class SentencePhrases(_Wire):
    """The phrases of one sentence."""

    sentence: Number
    phrases: Annotated[tuple[str, ...], Field(max_length=MAX_PHRASES)]


class SplitAnswer(_Wire):
    """A report taken apart; sentences that give no phrase may be left out."""

    sentences: Annotated[tuple[SentencePhrases, ...], Field(max_length=MAX_SENTENCES)]


class EntailmentAnswer(_Wire):
    """Evidence first: a model that must look for it before it decides decides on what it found."""

    evidence: Annotated[tuple[Number, ...], Field(max_length=MAX_EVIDENCE)]
    status: Literal["entailment", "not_entailment"]


_ANSWERS: dict[str, type[SplitAnswer] | type[EntailmentAnswer]] = {SPLIT: SplitAnswer, ENTAILMENT: EntailmentAnswer}


class Statement(NamedTuple):
    """A phrase and the phrases of the other report that it is judged against."""

    hypothesis: str
    reference: tuple[str, ...]


class QuestionMaker:
    """Makes both kinds of question for one engine.

    The address covers all that can change an answer: the texts, the prompt, the wire schema, the engine, its model and
    its settings; study ids are left out, so that the same question is asked once wherever it turns up.
    """

    def __init__(self, engine: Engine) -> None:
        self.prompts = {name: load_prompt(name, folder=FOLDER) for name in (SPLIT, ENTAILMENT)}
        self._parts = {name: _Part(prompt, engine) for name, prompt in self.prompts.items()}

    def split(self, text: str, sentences: Sequence[Sentence]) -> Question:
        """Which phrases does this report hold?"""
        numbered = [(s.start, s.end, s.section.value) for s in sentences]
        part = self._parts[SPLIT]
        return Question(
            key=part.key(text, json.dumps(numbered)),
            prompt_name=SPLIT,
            prefix=part.prefix,
            render=lambda: render_report((s.number, s.section.value, s.text) for s in sentences),
            schema=part.schema,
            subject=sentences,
        )

    def entailment(self, statement: Statement) -> Question:
        """Does this phrase follow from the others?"""
        part = self._parts[ENTAILMENT]
        return Question(
            key=part.key(json.dumps(statement)),
            prompt_name=ENTAILMENT,
            prefix=part.prefix,
            render=lambda: render_entailment(*statement),
            schema=part.schema,
            subject=statement,
        )


class _Part:
    """What all questions of one prompt share."""

    def __init__(self, prompt: Prompt, engine: Engine) -> None:
        self.prefix = tuple(Message(role, content) for role, content in prompt.messages)
        self.schema = wire_schema(prompt.name)
        what = [FOLDER, prompt.id, prompt.sha256, WIRE_VERSION, self.schema]
        what += [engine.name, engine.model, dict(engine.settings)]
        self._base = hashlib.blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=16)

    def key(self, *texts: str) -> bytes:
        address = self._base.copy()
        for text in texts:
            address.update(text.encode("utf-8", "surrogatepass"))
            address.update(b"\0")
        return address.digest()


def wire_schema(prompt_name: str) -> dict[str, Any]:
    """The JSON Schema a server is asked to follow: all properties required, no others allowed."""
    return bare_schema(_ANSWERS[prompt_name])


def check_answer(question: Question, text: str) -> str:
    """Validate a judge's answer against schema and question, and give it in the shape that is kept.

    Raises:
        InvalidAnswer: saying, for the model that must correct it, what is wrong and what is allowed.
    """
    try:
        answer = _ANSWERS[question.prompt_name].model_validate_json(text)
    except ValidationError as error:
        raise invalid(error) from None
    if isinstance(answer, SplitAnswer):
        _check_split(answer, len(question.subject))
    else:
        _check_entailment(answer, len(question.subject.reference))
    return answer.model_dump_json()


def _check_split(answer: SplitAnswer, num_sentences: int) -> None:
    named = [entry.sentence for entry in answer.sentences]
    for number in named:
        if number > num_sentences:
            raise InvalidAnswer(
                f"there is no sentence {number}; the report has sentences 1 to {num_sentences}", kind=UNKNOWN_SENTENCE
            )
        if named.count(number) > 1:
            raise InvalidAnswer(f"sentence {number} stands twice; name each sentence once", kind=REPEATED_SENTENCE)


def _check_entailment(answer: EntailmentAnswer, num_phrases: int) -> None:
    unknown = [number for number in answer.evidence if number > num_phrases]
    if unknown:
        raise InvalidAnswer(
            f"there is no statement {unknown[0]} in the reference; it has 1 to {num_phrases}", kind=UNKNOWN_EVIDENCE
        )
    if answer.status == "entailment" and not answer.evidence:
        raise InvalidAnswer(
            "entailment needs the numbers of the statements that prove it; without one it is not_entailment",
            kind=NO_EVIDENCE,
        )
