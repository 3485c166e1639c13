"""`python -m studies`: parse, dispatch, print. Nothing else in this folder prints."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

# Heavy imports stand inside the functions: --help must come at once.

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__, rich_markup_mode=None
)


class _Format(StrEnum):
    PNG = "png"
    DICOM = "dicom"


class _Photometric(StrEnum):
    MONOCHROME1 = "MONOCHROME1"
    MONOCHROME2 = "MONOCHROME2"


_Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")]


@app.command()
def synthetic(
    output: _Output,
    count: Annotated[int, typer.Option(min=1, help="How many studies.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same studies.")] = 0,
    size: Annotated[int, typer.Option(min=64, max=4096, help="Side of the square films in pixels.")] = 518,
    format: Annotated[_Format, typer.Option(help="Of the films.")] = _Format.PNG,  # noqa: A002 - the word users type
    bits: Annotated[int, typer.Option(help="Stored bits: 8 or 16 (png), 8, 12 or 16 (dicom).")] = 8,
    photometric: Annotated[
        _Photometric, typer.Option(help="MONOCHROME1 stores films inverted (dicom only).")
    ] = _Photometric.MONOCHROME2,
    studies_per_patient: Annotated[float, typer.Option(min=1, max=20, help="On average.")] = 1.6,
    noise: Annotated[float, typer.Option(min=0, max=0.2, help="Grain, of a range of 1.")] = 0.012,
    laterals: Annotated[
        float, typer.Option(min=0, max=1, help="Share of studies with a lateral film too, of those that can have one.")
    ] = 0.0,
) -> None:
    """Make synthetic chest films with masks, reports and labels that agree.

    Writes images/, masks/STUDY/, studies.csv, reports.csv, labels.jsonl and generation.jsonl (for train-llava and
    generate-reports). Nothing in them comes from a patient.
    """
    from studies.synthetic.cohort import make_cohort
    from studies.synthetic.files import Format, Photometric, write_cohort

    def make(on_study: Callable[[], object]) -> int:
        studies = make_cohort(count, seed, studies_per_patient=studies_per_patient, size_px=size, noise=noise)
        return write_cohort(
            studies,
            output,
            kind=Format(format.value),
            bits=bits,
            photometric=Photometric(photometric.value),
            laterals=laterals,
            noise=noise,
            on_study=on_study,
        )

    _run("synthetic", output, count, make)


@app.command()
def shrink(
    films: Annotated[list[Path], typer.Argument(help="Films (DICOM, PNG, JPEG) and folders of them.")],
    output: _Output,
    shorter_side: Annotated[int, typer.Option(min=16, max=4096, help="In pixels; the aspect ratio is kept.")] = 518,
    voi: Annotated[bool, typer.Option("--voi", help="Apply a DICOM's window or VOI LUT first.")] = False,
) -> None:
    """Shrink films to 8-bit PNG as RAD-DINO's training films were: Gaussian, B-spline, then each film's own min-max.

    Writes the PNGs, films.csv (what was done to each, view, spacing) and failures.jsonl; exit code 3 if any failed.
    """
    from studies.shrink import find_films, shrink_files

    failed: list[tuple[Path, str]] = []

    def make(on_study: Callable[[], object]) -> int:
        found = find_films(films)
        failed.extend(shrink_files(found, output, shorter_side_px=shorter_side, voi=voi, on_film=on_study))
        return len(found) - len(failed)

    _run("shrink", output, None, make)
    for _, why in failed[:5]:
        typer.echo(f"failed: {why}", err=True)
    if failed:
        typer.echo(f"{output}/failures.jsonl: {len(failed):,} films could not be shrunk", err=True)
        raise typer.Exit(3)


@app.command()
def example_images(output: _Output) -> None:
    """Make the films of examples/images again."""
    from studies.synthetic.examples import EXAMPLES, write_examples

    _run("example-images", output, len(EXAMPLES), lambda _: write_examples(output))


def _run(command: str, output: Path, total: int | None, make: Callable[[Callable[[], object]], int]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    screen = Console(stderr=True, highlight=False)
    begun = time.monotonic()
    what = "films" if command == "shrink" else "studies"
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=screen, disable=not screen.is_terminal) as bar:
            task = bar.add_task(what, total=total)
            count = make(lambda: bar.advance(task))
    except (ValueError, FileExistsError, ImportError) as error:
        screen.print(Text(f"studies {command}: {error}"), soft_wrap=True)
        raise typer.Exit(2) from None
    except OSError as error:
        screen.print(Text(f"studies {command}: cannot write to {output}: {error.strerror or error}"), soft_wrap=True)
        raise typer.Exit(1) from None
    took = time.monotonic() - begun
    screen.print(Text(f"{output}: {count:,} {what} in {took:.1f} s ({60 * count / max(took, 1e-9):,.0f} a minute)"))
