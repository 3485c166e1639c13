"""Asks a judge: reports into phrases, then each phrase against the other report, through the shared runtime.

Identical questions are asked once, whatever is answered is kept at once, and a run that was stopped goes on where it
was. What could not be answered is a failure with its reason, never a judgment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from eval.pairs import text_sha256
from eval.radfact.judgments import (
    Failure,
    Judged,
    Outcome,
    Phrase,
    ReportPair,
    SideJudgments,
    StudyJudgments,
    Verdict,
)
from eval.radfact.wire import (
    ENTAILMENT,
    SPLIT,
    EntailmentAnswer,
    QuestionMaker,
    SplitAnswer,
    Statement,
    check_answer,
)
from labeling.runtime.ask import Policy
from labeling.runtime.engine import Engine, Question, Usage
from labeling.runtime.keep import Keeper, Tally
from labeling.runtime.store import Store
from studies.report_text import Sentence, split_sentences

# (stage: "phrases" or "entailment", questions of this stage in all, what has happened to them so far)
OnProgress = Callable[[str, int, Tally], None]
Split = tuple[Phrase, ...] | Failure
_CHUNK = 256  # questions looked up in the store at once


class Judge:
    """A language model that judges; every engine that answers prompts will do.

    tallies: what the last run of each stage cost, by stage.
    """

    def __init__(self, engine: Engine, store: Store, policy: Policy) -> None:
        self._engine = engine
        self._store = store
        self._policy = policy
        self._maker = QuestionMaker(engine)
        self.tallies: dict[str, Tally] = {}

    @property
    def description(self) -> dict[str, Any]:
        """Which judge this is: engine, model, settings, and the prompts with their hashes."""
        return {
            "engine": self._engine.name,
            "model": self._engine.model,
            "settings": dict(self._engine.settings),
            "prompts": {prompt.id: prompt.sha256 for prompt in self._maker.prompts.values()},
        }

    @property
    def usage(self) -> Usage:
        """Requests and tokens of the last run, all stages together."""
        total = Usage()
        for tally in self.tallies.values():
            total = total.plus(tally.usage)
        return total

    async def judge(self, pairs: Sequence[ReportPair], on_progress: OnProgress) -> list[StudyJudgments]:
        """Judge every phrase of every pair; the studies come in the order of the pairs.

        A report without sentences has no phrases, and a phrase is not entailed by a report without phrases; neither is
        asked. Where one report cannot be taken apart, the other's phrases fail too.

        Raises:
            ValueError: a study id stands twice.
            StoreError: answers cannot be kept any more; asking stops.
        """
        twice = [study_id for study_id, count in Counter(pair.study_id for pair in pairs).items() if count > 1]
        if twice:
            raise ValueError(f"{len(twice)} study ids stand twice, {twice[0]!r} for one")
        phrases = await self._split([text for pair in pairs for text in (pair.prediction, pair.reference)], on_progress)
        statements = [
            statement
            for pair in pairs
            for statement in (
                *_statements(phrases[pair.prediction], phrases[pair.reference]),
                *_statements(phrases[pair.reference], phrases[pair.prediction]),
            )
        ]
        verdicts = await self.verdicts(statements, on_progress)
        return [
            StudyJudgments(
                pair.study_id,
                _side(pair.prediction, pair.reference, phrases, verdicts),
                _side(pair.reference, pair.prediction, phrases, verdicts),
            )
            for pair in pairs
        ]

    async def verdicts(self, statements: Iterable[Statement], on_progress: OnProgress) -> dict[Statement, Verdict]:
        """Judge single statements.

        Raises:
            StoreError: answers cannot be kept any more; asking stops.
        """
        statements = dict.fromkeys(statements)
        questions = {one: self._maker.entailment(one) for one in statements if one.reference}
        answers = await self._answers(ENTAILMENT, questions.values(), on_progress)
        nothing = Verdict(Outcome.NOT_ENTAILED)
        return {one: _verdict(answers[questions[one].key]) if one in questions else nothing for one in statements}

    async def _split(self, texts: Iterable[str], on_progress: OnProgress) -> dict[str, Split]:
        sentences = {text: split_sentences(text) for text in texts}
        questions = {text: self._maker.split(text, found) for text, found in sentences.items() if found}
        answers = await self._answers(SPLIT, questions.values(), on_progress)
        return {
            text: _phrases(answers[questions[text].key], found) if found else () for text, found in sentences.items()
        }

    async def _answers(
        self, stage: str, questions: Iterable[Question], on_progress: OnProgress
    ) -> dict[bytes, str | Failure]:
        unique = {question.key: question for question in questions}
        asked = list(unique.values())
        chunks = (asked[start : start + _CHUNK] for start in range(0, len(asked), _CHUNK))
        keeper = Keeper(self._engine, self._store, self._policy)
        self.tallies[stage] = keeper.tally
        await keeper.ask(chunks, check_answer, lambda tally: on_progress(stage, len(asked), tally))
        answers: dict[bytes, str | Failure] = {
            key: Failure(failure.reason, failure.kind) for key, failure in keeper.failures.items()
        }
        return answers | self._store.get(list(unique))


def _phrases(answer: str | Failure, sentences: Sequence[Sentence]) -> Split:
    if isinstance(answer, Failure):
        return answer
    entries = sorted(SplitAnswer.model_validate_json(answer).sentences, key=lambda entry: entry.sentence)
    return tuple(
        Phrase(" ".join(text.split()), entry.sentence, sentence.start, sentence.end)
        for entry in entries
        for sentence in (sentences[entry.sentence - 1],)
        for text in entry.phrases
        if text.strip()
    )


def _statements(own: Split, other: Split) -> list[Statement]:
    if isinstance(own, Failure) or isinstance(other, Failure):
        return []
    reference = tuple(phrase.text for phrase in other)
    return [Statement(phrase.text, reference) for phrase in own]


def _verdict(answer: str | Failure) -> Verdict:
    if isinstance(answer, Failure):
        return Verdict(Outcome.FAILED, failure=answer)
    read = EntailmentAnswer.model_validate_json(answer)
    outcome = Outcome.ENTAILED if read.status == "entailment" else Outcome.NOT_ENTAILED
    return Verdict(outcome, tuple(dict.fromkeys(read.evidence)))


def _side(
    text: str, other_text: str, phrases: Mapping[str, Split], verdicts: Mapping[Statement, Verdict]
) -> SideJudgments:
    own, other = phrases[text], phrases[other_text]
    if isinstance(own, Failure):
        return SideJudgments(text_sha256(text), (), own)
    if isinstance(other, Failure):
        unknown = Verdict(Outcome.FAILED, failure=Failure("the other report could not be taken apart", None))
        return SideJudgments(text_sha256(text), tuple(Judged(phrase, unknown) for phrase in own))
    judged = zip(own, (verdicts[statement] for statement in _statements(own, other)), strict=True)
    return SideJudgments(text_sha256(text), tuple(Judged(*one) for one in judged))
