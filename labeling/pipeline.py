"""The walk of a run: check every report, ask what is not answered yet, then write all rows in the input's order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

from pydantic import ValidationError

from labeling.evidence import check_evidence
from labeling.facts import Answer, FindingAnswer, LineTubeAnswer, read_answer
from labeling.outputs import row_writer, whole_file
from labeling.questions import QuestionMaker
from labeling.rows import RowMaker
from labeling.runtime.ask import Policy
from labeling.runtime.engine import Engine, Question
from labeling.runtime.keep import Keeper, Tally
from labeling.runtime.store import Store
from labeling.runtime.wire import invalid
from labeling.schema import LabelRow
from labeling.vocabulary import Status
from prompts.load import Prompt
from studies.records import Report
from studies.report_text import Sentence, split_sentences

_CHUNK = 256  # reports looked up in the store at once


class Written(NamedTuple):
    """What stands in the output: rows, reports without one, and counts for the table.

    devices: (type, placement) -> how many, removed ones under placement "removed".
    findings: (finding, mention) -> how many reports.
    """

    rows: int
    failed: int
    devices: Counter[tuple[str, str]]
    findings: Counter[tuple[str, str]]


class Labeler:
    """Labels reports with one engine and one set of prompts.

    Reports are read twice through `reports()`, which must give the same ones each time: memory stays flat however
    many there are.
    """

    def __init__(
        self, prompts: Sequence[Prompt], engine: Engine, store: Store, row_maker: RowMaker, policy: Policy
    ) -> None:
        self._makers = [QuestionMaker(prompt, engine) for prompt in prompts]
        self._prompts = prompts
        self._engine = engine
        self._store = store
        self._row_maker = row_maker
        self._keeper = Keeper(engine, store, policy)

    @property
    def tally(self) -> Tally:
        return self._keeper.tally

    async def ask(self, reports: Iterable[Report], on_progress: Callable[[Tally], None]) -> None:
        """Ask whatever the store does not answer yet, and keep the answers.

        Raises:
            StoreError: answers cannot be kept any more; asking stops.
        """
        await self._keeper.ask(self._asked(reports), check_answer, on_progress)

    def write(self, reports: Iterable[Report], rejected: Mapping[str, str], output: Path, failures: Path) -> Written:
        """Write a row for every answered report, and a failure for every other; both files appear whole.

        The failures file is there only when there are failures.
        """
        written = Written(0, 0, Counter(), Counter())
        rows = failed = 0
        with whole_file(failures) as failure_file, row_writer(output) as write_row:
            for report, result in self.results(reports, rejected):
                if isinstance(result, LabelRow):
                    write_row(result)
                    _count(result, written)
                    rows += 1
                else:
                    self._write_failure(failure_file, report.report_id, result)
                    failed += 1
        if not failed:
            failures.unlink()
        return written._replace(rows=rows, failed=failed)

    def results(
        self, reports: Iterable[Report], rejected: Mapping[str, str]
    ) -> Iterator[tuple[Report, LabelRow | str]]:
        """Each report with its row, or with why it has none, in the given order."""
        for chunk in _chunks(reports):
            asked = [(report, *self._questions(report, rejected)) for report in chunk]
            answers = self._store.get([question.key for _, _, questions in asked for question in questions])
            for report, sentences, questions in asked:
                if report.report_id in rejected:
                    yield report, rejected[report.report_id]
                    continue
                missing = [question for question in questions if question.key not in answers]
                if missing:
                    yield report, "; ".join(self._why_missing(question) for question in missing)
                    continue
                read = {q.prompt_name: _read_kept(q.prompt_name, answers[q.key]) for q in questions}
                yield report, self._row_maker.make(report, sentences, read)

    def unanswered(self, reports: Iterable[Report]) -> Iterator[Question]:
        """What `ask` would ask, without asking (for a dry run)."""
        return self._keeper.unanswered(self._asked(reports))

    def _asked(self, reports: Iterable[Report]) -> Iterator[list[Question]]:
        for chunk in _chunks(reports):
            yield [question for report in chunk for question in self._questions(report, {})[1]]

    def _questions(self, report: Report, rejected: Mapping[str, str]) -> tuple[list[Sentence], list[Question]]:
        if report.report_id in rejected:
            return [], []
        sentences = split_sentences(report.text)
        return sentences, [maker.make(report, sentences) for maker in self._makers]

    def _why_missing(self, question: Question) -> str:
        return str(self._keeper.failures.get(question.key, f"{question.prompt_name}: not asked"))

    def _write_failure(self, file: TextIO, report_id: str, reason: str) -> None:
        row = {
            "report_id": report_id,
            "prompt": ",".join(prompt.id for prompt in self._prompts),
            "engine": self._engine.name,
            "model": self._engine.model,
            "reason": reason,
        }
        file.write(json.dumps(row) + "\n")  # ASCII: an id that no file can hold is listed all the same


def check_answer(question: Question, text: str) -> str:
    """Validate an engine's answer against schema and report, and give it in the shape that is kept.

    Raises:
        InvalidAnswer: saying, for the model that must correct it, which field is wrong and what is allowed.
    """
    try:
        answer = read_answer(question.prompt_name, text)
    except ValidationError as error:
        raise invalid(error) from None
    check_evidence(answer, question.subject)
    return answer.model_dump_json()


def _read_kept(prompt_name: str, text: str) -> Answer:
    model = FindingAnswer if prompt_name == "findings" else LineTubeAnswer
    return model.model_validate_json(text)


def _chunks(reports: Iterable[Report]) -> Iterator[list[Report]]:
    stream = iter(reports)
    while chunk := list(islice(stream, _CHUNK)):
        yield chunk


def _count(row: LabelRow, written: Written) -> None:
    for device in row.lines_and_tubes:
        shown = "removed" if device.status is Status.REMOVED else device.placement
        written.devices[device.type_categorical, shown] += 1
    if row.finding_labels is not None:
        for name, mention in row.finding_labels:
            written.findings[name, mention] += 1
