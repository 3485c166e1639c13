"""`encode-images` and `python -m encoders`: parse and dispatch; only `console` prints."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

# Heavy imports stand inside the functions: --help must come at once.

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__, rich_markup_mode=None
)
_ENCODER, _INPUT, _MAPS, _COMPUTE = "Encoder", "Input", "Feature maps", "Computing"


_NEEDED = ("PIL", "imagecodecs", "pydicom", "safetensors", "timm", "torch", "torchvision", "transformers")


class Dtype(StrEnum):
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Device(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class LayerNorm(StrEnum):
    FINAL = "final"


def encode_images(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="Films, folders of films, or tables that name them (CSV, TSV, JSONL, Parquet)."),
    ] = None,
    encoder: Annotated[
        str | None, typer.Option("--encoder", "-e", help="An encoder's name, or a TOML file that describes your own.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", "-w", help="A checkpoint; hub, or org/name@commit; twin or tiny for random weights."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for vectors.parquet, maps/, failures.jsonl, run.json.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Commit on the hub, 40 hexadecimal digits.", rich_help_panel=_ENCODER)
    ] = None,
    image_size_px: Annotated[
        int | None,
        typer.Option("--image-size", help="Side of the input in pixels [the published one].", rich_help_panel=_ENCODER),
    ] = None,
    preprocessing: Annotated[
        str | None,
        typer.Option(help="Another preprocessing, by name or TOML file [the encoder's own].", rich_help_panel=_ENCODER),
    ] = None,
    accept_licence: Annotated[
        bool | None,
        typer.Option("--accept-licence", help="You agree to the terms of the weights.", rich_help_panel=_ENCODER),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(help="Folder to which a table's paths are relative [the table's].", rich_help_panel=_INPUT),
    ] = None,
    image_column: Annotated[str | None, typer.Option(help="Column of paths.", rich_help_panel=_INPUT)] = None,
    id_column: Annotated[str | None, typer.Option(help="Column of study ids.", rich_help_panel=_INPUT)] = None,
    patient_column: Annotated[str | None, typer.Option(help="Column of patient ids.", rich_help_panel=_INPUT)] = None,
    view_column: Annotated[
        str | None, typer.Option(help="Column of views, such as AP [else the film's tags].", rich_help_panel=_INPUT)
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Text encoding of tables [utf-8].", rich_help_panel=_INPUT)
    ] = None,
    skip_guards: Annotated[
        list[str] | None,
        typer.Option("--skip-guard", help="A check of the films not to make; may be repeated.", rich_help_panel=_INPUT),
    ] = None,
    max_failures: Annotated[
        float | None,
        typer.Option(help="Share of films that may fail before the exit code is 3 [0.01].", rich_help_panel=_INPUT),
    ] = None,
    maps: Annotated[
        str | None,
        typer.Option(
            help="none, default (the encoder's own stride), strides in pixels such as 16 or 8,16, or layers [none].",
            rich_help_panel=_MAPS,
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(help="With --maps layers: which, such as 2,5,8,11; -1 is the last.", rich_help_panel=_MAPS),
    ] = None,
    norm: Annotated[
        LayerNorm | None,
        typer.Option(help="With --maps layers: the last norm on each of them [none].", rich_help_panel=_MAPS),
    ] = None,
    maps_dtype: Annotated[
        Dtype | None, typer.Option(help="Numbers that maps are kept in [float16].", rich_help_panel=_MAPS)
    ] = None,
    dtype: Annotated[
        Dtype | None, typer.Option(help="Numbers that are computed with [float32].", rich_help_panel=_COMPUTE)
    ] = None,
    device: Annotated[
        Device | None, typer.Option(help="Where the encoder runs [auto].", rich_help_panel=_COMPUTE)
    ] = None,
    compile: Annotated[  # noqa: A002 - PyTorch's word
        bool | None, typer.Option("--compile", help="Compile the encoder first.", rich_help_panel=_COMPUTE)
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Films at once [32].", rich_help_panel=_COMPUTE)] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that decode films [cores - 1, 0 for few films].", rich_help_panel=_COMPUTE),
    ] = None,
    save_every_s: Annotated[
        float | None,
        typer.Option(help="Seconds between saves: what a kill may lose [30].", rich_help_panel=_COMPUTE),
    ] = None,
    plot: Annotated[
        bool | None, typer.Option("--plot", help="Draw what the encoder sees, into the output's folder plots.")
    ] = None,
    plot_images: Annotated[int | None, typer.Option(help="How many films --plot draws [8].")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with any of these settings; flags win.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be encoded and how much written, encode nothing.")
    ] = False,
) -> None:
    """Turn chest films into vectors (Parquet) and feature maps (safetensors) with any encoder.

    Running the same command again goes on where it stopped: what was encoded is known by its pixels, preprocessing,
    weights and number format, whatever its file is called. For several GPUs: accelerate launch -m encoders.encode ...

    Exit codes: 0 encoded, 2 wrong use or input (nothing encoded), 3 more than --max-failures failed, 1 the disk, the
    GPU's memory or a decoding process failed, 130 stopped by Ctrl-C.
    """
    flags = {
        name: value.value if isinstance(value, StrEnum) else value
        for name, value in locals().items()
        if name not in {"config", "dry_run"}
    }
    _refuse_small_install("encode-images")
    from encoders.encode.run import encode_images as run

    raise typer.Exit(run(config, flags, dry_run=dry_run))


app.command(name="encode")(encode_images)

Name = Annotated[str, typer.Argument(help="An encoder's name, or a TOML file that describes your own.")]
Revision = Annotated[str | None, typer.Option(help="Commit on the hub, 40 hexadecimal digits.")]
Side = Annotated[int | None, typer.Option("--image-size", help="Side of the input in pixels [the published one].")]
Preprocessing = Annotated[str | None, typer.Option(help="Another preprocessing, by name or TOML file.")]
Accept = Annotated[bool, typer.Option("--accept-licence", help="You agree to the terms of the weights.")]


@app.command(name="list")
def list_encoders() -> None:
    """Every published encoder: input, preprocessing, licence, where it is published."""
    _refuse_small_install("python -m encoders list")
    from encoders.commands import list_encoders as run

    raise typer.Exit(run())


@app.command()
def show(
    encoder: Name,
    weights: Annotated[str, typer.Option("--weights", "-w", help="As of encode-images; tiny needs no file.")] = "tiny",
    revision: Revision = None,
    image_size_px: Side = None,
    preprocessing: Preprocessing = None,
    accept_licence: Accept = False,
) -> None:
    """One encoder whole: source, terms, sizes, preprocessing with its sources, fingerprint."""
    _refuse_small_install("python -m encoders show")
    from encoders.commands import show as run

    raise typer.Exit(run(encoder, _load(weights, revision, image_size_px, preprocessing, accept_licence)))


@app.command()
def doctor(
    file: Annotated[Path, typer.Argument(help="A film: DICOM, PNG or JPEG.")],
    encoder: Annotated[str, typer.Option("--encoder", "-e", help="A name, or a TOML file that describes your own.")],
    weights: Annotated[
        str, typer.Option("--weights", "-w", help="Whose features to compare; random ones tell less.")
    ] = "tiny",
    tensor: Annotated[
        Path | None, typer.Option(help="What your pipeline made of that file: .npy, .npz, .safetensors or .pt.")
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option(help="Your pipeline, module:function; it is called with the file's path.")
    ] = None,
    revision: Revision = None,
    image_size_px: Side = None,
    preprocessing: Preprocessing = None,
    accept_licence: Accept = False,
) -> None:
    """What an encoder's preprocessing makes of a film, and why your own pixels are not the same.

    Exit codes: 0 the same (or nothing to compare), 1 they differ, 2 wrong use or input.
    """
    _refuse_small_install("python -m encoders doctor")
    from encoders.commands import doctor as run

    load = _load(weights, revision, image_size_px, preprocessing, accept_licence)
    raise typer.Exit(run(file, encoder, load, tensor=tensor, pipeline=pipeline))


@app.command()
def convert(
    checkpoint: Annotated[Path, typer.Argument(help="A PyTorch checkpoint that needs unpickling, such as Ark's.")],
    output: Annotated[Path, typer.Argument(help="Where the tensors go: NAME.safetensors.")],
    trust_pickle: Annotated[
        bool,
        typer.Option("--trust-pickle", help="Unpickle it: this RUNS whatever code the file holds. Know who made it."),
    ] = False,
    inside: Annotated[
        str | None, typer.Option(metavar="KEY", help="Which of several sets of weights in the file, such as teacher.")
    ] = None,
) -> None:
    """Turn a checkpoint into safetensors, once, so that loading never unpickles."""
    _refuse_small_install("python -m encoders convert")
    from encoders.commands import convert as run

    raise typer.Exit(run(checkpoint, output, trust_pickle=trust_pickle, inside=inside))


@app.command()
def pin(
    repository: Annotated[str, typer.Argument(help="An encoder's name, or a repository such as microsoft/rad-dino.")],
) -> None:
    """Print the commit that a hub repository is at today, to load weights at exactly that one from now on."""
    _refuse_small_install("python -m encoders pin")
    from encoders.commands import pin as run

    raise typer.Exit(run(repository))


def _load(
    weights: str, revision: str | None, image_size_px: int | None, preprocessing: str | None, accept_licence: bool
) -> dict[str, Any]:
    return {
        "weights": weights,
        "revision": revision,
        "image_size_px": image_size_px,
        "preprocessing": preprocessing,
        "accept_licence": accept_licence,
    }


def encode_images_main() -> None:
    """The `encode-images` command."""
    _alone("encode-images", encode_images)


def _refuse_small_install(command: str) -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        from encoders.console import Screen

        Screen(command).error(
            f"{', '.join(missing)} not installed; install the extra: pip install 'carina-cxr[encoders]'"
        )
        raise typer.Exit(2)


def _alone(name: str, command: Callable[..., None]) -> None:
    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    one.command(name=name)(command)
    one()
