"""What `generate-reports` and `python -m llava` do, after parsing. Each command gives its exit code."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llava.console import Screen
from llava.running import EXIT_OK, exit_code, heard, private_files

if TYPE_CHECKING:
    from studies.records import GenerationStudy

KEPT = "what was generated is kept, the same command goes on from here"


def generate(flags: Mapping[str, Any]) -> int:
    """Write reports; flags: of `llava.generate.settings.GenerateSettings`, None where none was given."""
    screen = Screen("generate-reports")

    def run() -> int:
        from llava.generate.settings import make_settings

        settings = make_settings(dict(flags))
        from llava.generate.run import generate_reports

        return generate_reports(settings, screen)

    with heard(screen), private_files():
        return exit_code(screen, run, KEPT)


def plot(output: Path) -> int:
    """Draw a run's losses."""
    screen = Screen("python -m llava plot")

    def run() -> int:
        from llava.progress.loss_plot import plot_losses

        screen.lines([str(plot_losses(output))])
        return EXIT_OK

    return exit_code(screen, run)


def export(checkpoint: Path, output: Path, layout: Literal["huggingface", "vllm"]) -> int:
    """A checkpoint for use elsewhere."""
    screen = Screen("python -m llava export")

    def run() -> int:
        from llava.generate.export import export as write

        screen.lines([str(write(checkpoint, output, layout=layout))])
        return EXIT_OK

    with heard(screen), private_files():
        return exit_code(screen, run)


def parity(flags: Mapping[str, Any]) -> int:
    """Whether the engines agree; flags: of `llava.generate.parity_command.check_parity`."""
    screen = Screen("python -m llava parity")

    def run() -> int:
        from llava.generate.parity_command import check_parity

        told = {**flags, "skip_guards": flags["skip_guards"] or ()}
        return check_parity(screen=screen, **told)

    with heard(screen), private_files():
        return exit_code(screen, run)


def sweep(file: Path, output: Path | None, *, plan: bool) -> int:
    """One generator an encoder, and their scores."""
    screen = Screen("python -m llava sweep")

    def run() -> int:
        from llava.sweep.run import sweep as run_all

        return run_all(file, screen, output=output, plan=plan)

    with heard(screen), private_files():
        return exit_code(screen, run, "what was done is kept, the same command goes on from here")


def tiny_language_model(output: Path, texts: Path, *, width: int, layers: int, vocab_size: int, seed: int) -> int:
    """A small random language model, whose words are those of a table of studies."""
    screen = Screen("python -m llava tiny-language-model")

    def run() -> int:
        from llava.dataset.table import StudyTable
        from llava.tiny import tiny_language_model as write

        with tempfile.TemporaryDirectory() as cache:
            table = StudyTable.open(texts, cache=Path(cache), need_findings=True)
            studies = (table[place] for place in range(len(table)))
            words = [text for study in studies for text in _texts(study)]
        write(output, words, width=width, layers=layers, vocab_size=vocab_size, seed=seed)
        screen.lines([str(output)])
        return EXIT_OK

    return exit_code(screen, run)


def _texts(study: GenerationStudy) -> list[str]:
    found = (study.findings, study.indication, study.technique, study.comparison, study.prior_report)
    return [text for text in found if text]
