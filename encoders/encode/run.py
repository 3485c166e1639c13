"""One run of `encode-images`, from its settings to its exit code."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from encoders.config import ConfigError, EncodeSettings, load_settings
from encoders.console import Screen
from encoders.encode.address import Keys
from encoders.encode.card import Card, describe, recall, remember, request_sha256
from encoders.encode.films import Done, Failed, Reading, hash_files, read_films
from encoders.encode.inputs import Row, find_films, stated_views
from encoders.encode.maps import MapChoice
from encoders.encode.ranks import Ranks, RefusedError
from encoders.encode.results import table_lines, write_failures, write_record
from encoders.encode.room import Room
from encoders.encode.store import Store, locked
from encoders.encode.table import write_vectors
from encoders.preprocessing.guards import Guard
from studies.images import read_film

if TYPE_CHECKING:
    from encoders.contract import Encoder

EXIT_OK, EXIT_DISK, EXIT_USE, EXIT_FAILURES, EXIT_STOPPED = 0, 1, 2, 3, 130
_WORTH_PROCESSES = 64  # films; starting processes takes as long as reading some hundreds

logging.getLogger("encoders").addHandler(logging.NullHandler())  # what its modules warn of, the screen says


def encode_images(config_file: Path | None, flags: dict[str, Any], *, dry_run: bool) -> int:
    """Do the run and give its exit code; every message for the user goes through the screen."""
    screen = Screen("encode-images")
    try:
        settings = load_settings(config_file, flags)
        ranks = Ranks(settings.device)
        screen = Screen("encode-images", quiet=ranks.rank > 0)
        with _private_files(), contextlib.ExitStack() as held:
            return _Run(settings, ranks, screen, held).go(dry_run=dry_run)
    except RefusedError:
        return EXIT_USE  # the first process has said why
    except ValueError as error:  # settings, inputs, the lock, an encoder that does not load
        screen.error(str(error))
        return EXIT_USE
    except (FileNotFoundError, FileExistsError, NotADirectoryError, PermissionError) as error:
        screen.error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return EXIT_USE
    except (OSError, RuntimeError) as error:  # the disk; a decoding process that died; a GPU that is full
        screen.error(f"{error}; what was encoded is kept, the same command goes on from here")
        return EXIT_DISK
    except KeyboardInterrupt:
        screen.error("stopped; what was encoded is kept, the same command goes on from here")
        return EXIT_STOPPED


@contextlib.contextmanager
def _private_files() -> Iterator[None]:
    """Features and names of patients' films are for this user only."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


class Plan(NamedTuple):
    """What the first process settles for all. paths: each film's once; todo: places in them that must be read;
    addresses: of those that need not be, by place; first_part: the first number that is free in the store."""

    card: Card
    rows: list[Row]
    paths: list[str]
    todo: list[int]
    addresses: dict[int, str]
    first_part: int


class _Run:
    def __init__(self, settings: EncodeSettings, ranks: Ranks, screen: Screen, held: contextlib.ExitStack) -> None:
        self._settings = settings
        self._ranks = ranks
        self._screen = screen
        self._held = held
        self._choice = MapChoice.of(settings)
        self._guards = _known_guards(settings)
        self._store = Store(settings.output)
        self._loaded: Encoder | None = None

    def go(self, *, dry_run: bool) -> int:
        started = time.monotonic()
        plan = self._ranks.share(self._plan)
        if dry_run:
            self._screen.say("dry run: nothing was encoded")
            return EXIT_OK
        done = self._encode(plan)
        addresses = plan.addresses | dict(self._ranks.gather(list(done.addresses.items())))
        failed = self._ranks.gather(done.failed)
        encoded = sum(self._ranks.gather([done.encoded]))
        if self._ranks.rank > 0:
            return EXIT_OK
        return self._finish(plan, addresses, failed, encoded, started)

    def _plan(self) -> Plan:
        """Find the films, learn what is done, say what is to come and whether it fits. Nothing is encoded."""
        settings, screen, store = self._settings, self._screen, self._store
        inputs = find_films(settings)
        screen.skipped(inputs.skipped)
        self._held.enter_context(locked(settings.output))
        store.load()
        for name, reason in store.damaged.items():
            screen.say(f"part {name} of an earlier run cannot be used ({reason}); its films are encoded again")
        store.drop_damaged()
        card = self._card()
        if card.note is not None:
            screen.say(f"NOTE: {card.note}")
        paths = list(dict.fromkeys(row.path for row in inputs.rows))
        reading = self._reading(card, inputs.rows)
        addresses = self._known(paths, card, reading)
        todo = [place for place in range(len(paths)) if place not in addresses]
        room = Room(card, settings, rows=len(inputs.rows), films=len(paths), todo=len(todo))
        for line in room.lines():
            screen.say(line)
        room.check()
        return Plan(card, inputs.rows, paths, todo, addresses, store.next_part)

    def _card(self) -> Card:
        settings = self._settings
        request = request_sha256(settings)
        card = recall(self._store.folder, request)
        if card is None:
            card = describe(self._encoder(), self._choice)
            remember(self._store.folder, request, card)
        return card

    def _encoder(self) -> Encoder:
        if self._loaded is None:
            from encoders.registry import load_encoder

            settings = self._settings
            self._loaded = load_encoder(
                settings.encoder,
                weights=settings.weights,
                image_size_px=settings.image_size_px,
                accept_licence=settings.accept_licence,
                revision=settings.revision,
                preprocessing=settings.preprocessing,
            )
        return self._loaded

    def _keys(self, card: Card) -> Keys:
        return Keys.of(card, dtype=self._settings.dtype, maps_dtype=self._settings.maps_dtype)

    def _reading(self, card: Card, rows: list[Row]) -> Reading:
        return Reading(card.recipe, self._guards, stated_views(rows))

    def _known(self, paths: list[str], card: Card, reading: Reading) -> dict[int, str]:
        """Places of films whose features an earlier run left; all files are hashed for it, none is decoded."""
        store, keys = self._store, self._keys(card)
        if not store.films:
            return {}
        known = {}
        with self._screen.progress("looking for what is done", len(paths)) as on_done:
            for place, file_hash in enumerate(hash_files(paths, _cores(), on_done)):
                facts = (
                    None if file_hash is None else store.films.get(address := reading.address(file_hash, paths[place]))
                )
                if facts and store.holds(keys.vector(facts.pixels_sha256), keys.maps(facts.pixels_sha256)):
                    known[place] = address
        return known

    def _encode(self, plan: Plan) -> Done:
        mine = plan.todo[self._ranks.rank :: self._ranks.count]
        if not mine:
            return Done({}, [], 0)
        import torch

        from encoders.encode.forward import Forward
        from encoders.encode.share import Share
        from encoders.encode.writer import PartWriter

        settings, store = self._settings, self._store
        if self._ranks.rank > 0:
            store.load()
        device = self._ranks.device()
        forward = Forward(
            self._encoder(),
            self._choice,
            device=device,
            dtype=getattr(torch, settings.dtype),
            maps_dtype=getattr(torch, settings.maps_dtype),
            batch_size=settings.batch_size,
            compiled=settings.compile,
        )
        numbers = itertools.count(plan.first_part + self._ranks.rank, self._ranks.count)
        writer = PartWriter(store, plan.card, numbers, save_every_s=settings.save_every_s)
        films = read_films(
            self._reading(plan.card, plan.rows),
            [(place, plan.paths[place]) for place in mine],
            workers=self._workers(len(mine)),
        )
        with self._screen.progress("encoding", len(mine)) as on_done:
            share = Share(forward, writer, self._keys(plan.card), batch_size=settings.batch_size, on_done=on_done)
            return share.run(films)

    def _workers(self, films: int) -> int:
        if self._settings.workers is not None:
            return self._settings.workers
        return 0 if films < _WORTH_PROCESSES else min(16, max(1, _cores() // self._ranks.count - 1))

    def _finish(self, plan: Plan, addresses: dict[int, str], failed: list[Failed], encoded: int, started: float) -> int:
        settings, screen, output = self._settings, self._screen, self._settings.output
        if self._ranks.count > 1:
            self._store.load()  # what the others have written
        places = {path: place for place, path in enumerate(plan.paths)}
        reasons = {one.place: one for one in failed}
        missed = [(row.image, *reasons[places[row.path]][1:]) for row in plan.rows if places[row.path] in reasons]
        failures = output / "failures.jsonl"
        write_failures(failures, missed)
        found = {path: addresses[place] for path, place in places.items() if place in addresses}
        lines = table_lines(plan.rows, found, self._store, self._keys(plan.card), plan.card)
        count = write_vectors(output / "vectors.parquet", lines, self._store)
        elapsed_s = time.monotonic() - started
        write_record(
            output / "run.json",
            settings,
            plan.card,
            counts={"rows": count, "failed": len(missed), "encoded": encoded, "known": len(plan.addresses)},
            elapsed_s=elapsed_s,
            device=self._device_name() if encoded else None,
            processes=self._ranks.count,
        )
        screen.failures(failures, missed)
        screen.say(
            f"{output / 'vectors.parquet'}: {count:,} rows in {elapsed_s:.1f} s ({encoded:,} encoded now, "
            f"{len(plan.addresses):,} films known before)"
        )
        if settings.plot:
            self._plot([row for row in plan.rows if row.path in found])
        if len(missed) > settings.max_failures * len(plan.rows):
            screen.error(
                f"{len(missed)} of {len(plan.rows)} rows failed, more than --max-failures {settings.max_failures:g} "
                f"allows; reasons stand in {failures}; the same command tries only those again"
            )
            return EXIT_FAILURES
        return EXIT_OK

    def _plot(self, rows: list[Row]) -> None:
        from encoders.plot import write_plots

        settings, encoder = self._settings, self._encoder()
        films = [
            (row.image, read_film(row.path, voi=encoder.recipe.intensity.voi)) for row in rows[: settings.plot_images]
        ]
        if not films:
            return
        with self._screen.progress("plots", 1):
            for path in write_plots(settings.output, encoder, films, layers=settings.layers or None):
                self._screen.say(f"{path}")

    def _device_name(self) -> str:
        import torch

        device = self._ranks.device()
        return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _known_guards(settings: EncodeSettings) -> tuple[Guard, ...]:
    try:
        return tuple(Guard(name) for name in settings.skip_guards)
    except ValueError:
        known = ", ".join(guard.value for guard in Guard)
        raise ConfigError(f"skip_guards {', '.join(settings.skip_guards)}: the guards are {known}") from None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
