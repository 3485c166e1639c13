"""What `python -m encoders` does, after parsing. Each command shows its lines through the screen and gives its exit
code."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from encoders.console import Screen

EXIT_OK, EXIT_DRIFT, EXIT_USE = 0, 1, 2


def list_encoders() -> int:
    """A row an encoder."""
    from encoders.preprocessing.recipe import load_recipe
    from encoders.registry import known_encoders

    rows = []
    for spec in known_encoders():
        resize = load_recipe(spec.name).resize
        asked = ["accept"] * spec.licence.must_accept + ["gated"] * spec.licence.gated
        where = spec.source.hub_id or spec.source.url
        rows.append(
            (
                spec.name,
                f"{spec.image_size_px} px",
                f"{resize.fit}, {resize.kernel}",
                spec.licence.name,
                ", ".join(asked),
                where,
            )
        )
    head = ("encoder", "input", "resize", "licence of the weights", "terms", "published")
    Screen("python -m encoders list").table(head, rows)
    return EXIT_OK


def show(name: str, load: dict[str, Any]) -> int:
    """All that is known of one encoder: its source, terms, sizes, preprocessing and fingerprint."""
    return _shown(Screen("python -m encoders show"), lambda: (_card(name, load), EXIT_OK))


def doctor(file: Path, name: str, load: dict[str, Any], *, tensor: Path | None, pipeline: str | None) -> int:
    """What the golden path makes of a file, and how the user's own pixels differ and why."""

    def examined() -> tuple[list[str], int]:
        from encoders.doctor import Verdict, examine, load_user_tensor, render, run_user_pipeline
        from encoders.registry import load_encoder

        if tensor and pipeline:
            raise ValueError("give --tensor or --pipeline, not both")
        encoder = load_encoder(name, **load)
        user_CHW = load_user_tensor(tensor) if tensor else None
        if pipeline:
            user_CHW = run_user_pipeline(pipeline, file, encoder.recipe)
        diagnosis = examine(file, encoder, user_CHW)
        same = diagnosis.verdict in {Verdict.IDENTICAL, Verdict.NOT_COMPARED}
        return render(diagnosis), EXIT_OK if same else EXIT_DRIFT

    return _shown(Screen("python -m encoders doctor"), examined)


def convert(checkpoint: Path, output: Path, *, trust_pickle: bool, inside: str | None) -> int:
    """A checkpoint as safetensors."""

    def converted() -> tuple[list[str], int]:
        from encoders.checkpoint import convert as run

        done = run(checkpoint, output, trust_pickle=trust_pickle, inside=inside)
        opened = f" (of {done.inside})" if done.inside else ""
        return [f"{output}: {len(done.tensors):,} tensors{opened}"], EXIT_OK

    return _shown(Screen("python -m encoders convert"), converted)


def pin(repository: str) -> int:
    """The commit of a hub repository's main branch today."""

    def asked() -> tuple[list[str], int]:
        from encoders.hub import current_commit
        from encoders.registry import NAMES, encoder_spec

        hub_id = encoder_spec(repository).source.hub_id if repository in NAMES else repository
        if hub_id is None:
            raise ValueError(
                f"{repository} is not on the hub; it is published at {encoder_spec(repository).source.url}"
            )
        return [current_commit(hub_id)], EXIT_OK

    return _shown(Screen("python -m encoders pin"), asked)


def _shown(screen: Screen, run: Callable[[], tuple[Iterable[str], int]]) -> int:
    logging.getLogger("encoders").addHandler(_Said(screen))
    try:
        lines, code = run()
        screen.lines(lines)
    except (ValueError, OSError) as error:
        screen.error(str(error))
        return EXIT_USE
    except KeyboardInterrupt:
        screen.error("stopped")
        return 130
    return code


class _Said(logging.Handler):
    """Shows what the modules warn of."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.WARNING)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.say(f"note: {record.getMessage()}")


def _card(name: str, load: dict[str, Any]) -> Iterator[str]:
    from encoders.fingerprint import fingerprint
    from encoders.registry import load_encoder

    encoder = load_encoder(name, **load)
    spec, licence = encoder.spec, encoder.spec.licence
    yield f"{spec.name}: {spec.title}"
    yield f"  source: {spec.source.url} ({spec.source.file})"
    yield f"  licence: {licence.name}, {licence.url}"
    yield f"  input: 3 x {encoder.image_size_px} x {encoder.image_size_px}"
    yield f"  global: {encoder.global_width}, {encoder.pooling}"
    yield f"  tokens: {encoder.num_tokens} x {encoder.token_width}"
    for stride in encoder.strides_px:
        rows, columns = encoder.grids[stride]
        yield f"  map of stride {stride}: {encoder.widths[stride]} x {rows} x {columns}"
    yield f"  layers: 0 to {encoder.num_layers - 1}"
    yield from (f"  note: {note}" for note in spec.notes)
    yield "preprocessing"
    for section in ("intensity", "resize", "normalize"):
        values = getattr(encoder.recipe, section).model_dump(mode="json", exclude_none=True)
        yield f"  {section}: " + ", ".join(f"{key} = {value}" for key, value in values.items())
        yield f"    source: {encoder.recipe.sources.get(section, 'none given')}"
    yield "fingerprint"
    yield from fingerprint(encoder).model_dump_json(indent=2).splitlines()
