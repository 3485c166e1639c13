"""One run of `generate-reports`, from its settings to its exit code."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from llava.dataset.example import BadStudy, BadStudyError, Example
from llava.generate.ahead import batches, read_ahead
from llava.generate.controls import ControlledReader
from llava.generate.opening import open_transformers, open_vllm, sample_of
from llava.generate.parity import Parity
from llava.generate.preparing import Prepared, prepare
from llava.generate.record import read_record, versions, write_record
from llava.generate.settings import GenerateSettings
from llava.generate.store import Line, Store, beside, opened, write_failures

if TYPE_CHECKING:
    from llava.generate.engine import Engine

EXIT_OK, EXIT_FAILURES = 0, 3
_SHOWN = 5  # failures


class Screen(Protocol):
    """What a run shows (`llava.console`)."""

    def say(self, message: str) -> None: ...

    def error(self, message: str) -> None: ...

    def progress(self, what: str, total: int) -> contextlib.AbstractContextManager[Callable[[int], None]]: ...


def generate_reports(settings: GenerateSettings, screen: Screen) -> int:
    """Do the run and give its exit code; every message for the user goes through the screen.

    0 all written, 3 more studies failed than max_failures allows. What is raised leaves what was generated, and the
    same settings go on from there.

    Raises:
        ValueError: settings, table, checkpoint, the output of another run, or a study where none may fail.
        OSError, RuntimeError: the disk failed, a reading process died, a GPU is full.
    """
    with contextlib.ExitStack() as held:
        return _Run(prepare(settings), screen, held).go()


class _Run:
    def __init__(self, prepared: Prepared, screen: Screen, held: contextlib.ExitStack) -> None:
        self._all = prepared
        self._screen = screen
        self._held = held
        self._failed: list[BadStudy] = []
        self._generated = 0

    def go(self) -> int:
        settings, screen = self._all.settings, self._screen
        started = time.monotonic()
        store = self._held.enter_context(opened(settings.output, self._all.run, overwrite=settings.overwrite))
        record = self._record()
        write_record(beside(settings.output, "run.json"), record)
        missing = store.missing(self._all.keys)
        _say_known(store, len(self._all.keys) - len(missing), screen)
        if missing:
            reader = self._reader()
            engine, parity = self._engine(reader, known=record["parity"])
            record["parity"] = None if parity is None else parity._asdict()
            write_record(beside(settings.output, "run.json"), record)
            self._generate(engine, reader, store, frozenset(missing))
        written = store.finish(self._all.keys)
        return self._finish(store, record, written, time.monotonic() - started)

    def _record(self) -> dict[str, Any]:
        known = self._all
        earlier = read_record(beside(known.settings.output, "run.json"))
        return {
            "settings": known.settings.model_dump(mode="json"),
            "run": known.run,
            "model": str(known.folder),
            "weights_sha256": known.weights,
            "prompt": {"id": known.processor.prompt.id, "sha256": known.processor.prompt.sha256},
            "preprocessing_sha256": known.processor.recipe.sha256,
            "encoder": {"name": known.encoder.encoder, "key": known.encoder.key},
            "encoder_note": known.encoder.note,
            "place": known.place._asdict(),
            "versions": versions(),
            "parity": earlier.get("parity") if earlier.get("run") == known.run else None,  # found out once a run
        }

    def _reader(self) -> ControlledReader:
        known = self._all
        guards = known.settings.skip_guards
        return ControlledReader(
            known.studies, known.processor, with_target=False, skip_guards=guards, root=known.table.root
        )

    def _engine(self, reader: ControlledReader, known: Mapping[str, Any] | None) -> tuple[Engine, Parity | None]:
        settings = self._all.settings
        if settings.engine == "transformers":
            return open_transformers(self._all.folder, self._all.place), None
        wanted = 0 if known is not None else settings.parity_studies
        sample = sample_of(reader, len(self._all.studies), wanted)
        if wanted and not sample:
            raise ValueError(
                "no study could be read to hold vLLM against transformers; --parity-studies 0 goes on without, and "
                "lists what is wrong with each"
            )
        engine, parity = open_vllm(
            self._all.folder,
            self._all.processor,
            self._all.place,
            gpu_memory=settings.gpu_memory,
            held=self._held,
            sample=sample,
            say=self._screen.say,
        )
        if parity is not None:
            parity.check(self._all.place)
        return engine, Parity(**known) if known is not None else parity

    def _generate(self, engine: Engine, reader: ControlledReader, store: Store, missing: frozenset[str]) -> None:
        settings, studies = self._all.settings, self._all.studies
        places = [row for row in range(len(studies)) if studies[row].study_id in missing]
        lengths = self._all.table.estimated_tokens(self._all.processor.num_image_tokens).tolist()
        groups = batches(lengths, places, settings.studies_at_once)
        done = 0
        with self._screen.progress("generating", len(places)) as on_done:
            for group, found in zip(groups, read_ahead(reader, groups, workers=settings.workers), strict=True):
                examples = self._without_bad(found)
                if examples:
                    patients = {studies[row].study_id: studies[row].patient_id for row in group}
                    store.add(self._lines(engine, examples, patients))
                done += len(group)
                on_done(done)

    def _without_bad(self, found: Sequence[Example | BadStudy]) -> list[Example]:
        bad = [one for one in found if isinstance(one, BadStudy)]
        if bad and self._all.settings.on_bad_study == "error":
            raise BadStudyError(bad[0])
        self._failed += bad
        return [one for one in found if not isinstance(one, BadStudy)]

    def _lines(self, engine: Engine, examples: Sequence[Example], patients: Mapping[str, str | None]) -> list[Line]:
        answers = engine.generate(examples, self._all.settings.decoding)
        self._generated += len(answers)
        return [
            Line(
                study_id=example.study_id,
                patient_id=patients[example.study_id],
                prediction=self._all.processor.decode(answer.token_ids),
                run=self._all.run,
                study_key=self._all.keys[example.study_id],
                tokens=len(answer.token_ids),
                finish_reason=answer.finish_reason,
                prior_tokens_cut=example.cut_tokens,
            )
            for example, answer in zip(examples, answers, strict=True)
        ]

    def _finish(self, store: Store, record: dict[str, Any], written: int, seconds: float) -> int:
        settings, screen = self._all.settings, self._screen
        order = {study_id: place for place, study_id in enumerate(self._all.keys)}
        failed = sorted(self._failed, key=lambda one: order[one.study_id])
        failures = beside(settings.output, "failures.jsonl")
        write_failures(failures, failed)
        lines = [store.lines[one] for one in order if one in store.lines]
        cut_off = sum(line.finish_reason == "length" for line in lines)
        shortened = sum(line.prior_tokens_cut > 0 for line in lines)
        counts = {"studies": len(order), "written": written, "failed": len(failed)}
        counts |= {"cut_off": cut_off, "prior_reports_shortened": shortened}
        last_call = {"generated": self._generated, "seconds": round(seconds, 3)}
        write_record(beside(settings.output, "run.json"), record | {"counts": counts, "last_call": last_call})
        for one in failed[:_SHOWN]:
            screen.say(f"failed: {one.study_id}: {one.error}: {one.message}")
        if failed:
            screen.say(f"{failures}: {len(failed):,} studies without a report, each with its reason")
        if shortened:
            screen.say(f"{shortened:,} prior reports were shortened to fit the context")
        if cut_off:
            screen.say(
                f"{cut_off:,} reports do not end by themselves: --max-new-tokens {settings.max_new_tokens} or the "
                "context cut them off"
            )
        screen.say(f"{settings.output}: {written:,} reports in {seconds:.1f} s ({self._generated:,} generated now)")
        if len(failed) > settings.max_failures * len(order):
            screen.error(
                f"{len(failed):,} of {len(order):,} studies failed, more than --max-failures "
                f"{settings.max_failures:g} allows; the same command tries only those again"
            )
            return EXIT_FAILURES
        return EXIT_OK


def _say_known(store: Store, known: int, screen: Screen) -> None:
    if store.torn:
        screen.say(f"{store.torn:,} torn lines of a killed run were dropped; they are generated again")
    if store.stale:
        screen.say(f"{store.stale:,} studies have changed since; they are generated again")
    if known:
        screen.say(f"{known:,} reports are there already")
