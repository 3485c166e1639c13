"""`train-llava`, `generate-reports` and `python -m llava`: parse and dispatch; only `console` prints."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

# Heavy imports stand inside the functions: --help must come at once.

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__, rich_markup_mode=None
)
_PLAN, _INPUT, _TEXT, _COMPUTE = "Assumptions of --plan", "Input", "Writing", "Computing"
_NEEDED = ("PIL", "accelerate", "imagecodecs", "matplotlib", "peft", "pyarrow", "pydicom", "safetensors", "tensorboard",
           "timm", "tokenizers", "torch", "torchvision", "transformers")  # fmt: skip


class Engine(StrEnum):
    TRANSFORMERS = "transformers"
    VLLM = "vllm"


class Control(StrEnum):
    SHUFFLED_IMAGES = "shuffled_images"
    BLANK_IMAGES = "blank_images"
    NO_PRIOR_REPORT = "no_prior_report"


class Policy(StrEnum):
    SKIP = "skip"
    ERROR = "error"


class Layout(StrEnum):
    HUGGINGFACE = "huggingface"
    VLLM = "vllm"


class Device(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Dtype(StrEnum):
    AUTO = "auto"
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"


def train_llava(
    config: Annotated[
        Path, typer.Argument(help="TOML file of the run, or a shipped one's name, such as maira2_vicuna13b_rad_dino.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the run, in place of the config's.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="One setting, such as stages.tune.learning_rate=1e-5 or data.train=studies.parquet; may be repeated.",
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what the run takes (weights, memory, GPU-hours), train nothing.")
    ] = False,
    studies: Annotated[
        int | None, typer.Option(min=1, help="So many studies [the table's, or 1,000,000].", rich_help_panel=_PLAN)
    ] = None,
    text_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens of text a study [the table's, or 450].", rich_help_panel=_PLAN)
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=1, max=3, help="Films of each study [the table's, or 3].", rich_help_panel=_PLAN)
    ] = None,
) -> None:
    """Train a report generator: an encoder, a projector and a language model, stage by stage.

    Running the same command again goes on from the newest saved state to the weights an unbroken run would have had.
    For several GPUs: accelerate launch -m llava.train CONFIG ...

    Exit codes: 0 done, 2 wrong use, settings or input, 1 the disk, a GPU or a process failed, 130 stopped by Ctrl-C
    after the step's state was saved.
    """
    _refuse_small_install("train-llava")
    from llava.config import ConfigError
    from llava.console import Screen
    from llava.planning.kinds import Assumed
    from llava.running import train_llava as run

    try:
        overrides = {"output": output, **_parsed(settings or ())}
    except ConfigError as error:
        Screen("train-llava").error(str(error))
        raise typer.Exit(2) from None
    raise typer.Exit(run(config, overrides, plan=plan, assumed=Assumed(studies, text_tokens, images)))


app.command(name="train")(train_llava)


def generate_reports(
    checkpoint: Annotated[
        Path, typer.Option("--checkpoint", "-c", help="A model folder, or the output folder of train-llava.")
    ],
    studies: Annotated[Path, typer.Option("--studies", "-s", help="Table of studies: CSV, TSV, JSONL, Parquet.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the reports go: NAME.jsonl.")],
    root: Annotated[
        Path | None,
        typer.Option(help="Folder of relative film paths [the table's].", rich_help_panel=_INPUT),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="The table's first so many.", rich_help_panel=_INPUT)] = None,
    control: Annotated[
        Control | None,
        typer.Option(help="Blind it: other patients' films, grey films, no prior report.", rich_help_panel=_INPUT),
    ] = None,
    skip_guards: Annotated[
        list[str] | None,
        typer.Option("--skip-guard", help="A check of the films not to make; may be repeated.", rich_help_panel=_INPUT),
    ] = None,
    on_bad_study: Annotated[
        Policy | None, typer.Option(help="A study that cannot be used: skip it or stop [skip].", rich_help_panel=_INPUT)
    ] = None,
    max_failures: Annotated[
        float | None,
        typer.Option(help="Share of studies that may fail before the exit code is 3 [0.01].", rich_help_panel=_INPUT),
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Longest report in tokens [300].", rich_help_panel=_TEXT)
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="0 takes the likeliest word each time [0].", rich_help_panel=_TEXT)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of chance, above temperature 0 [0].", rich_help_panel=_TEXT)] = None,
    engine: Annotated[
        Engine | None, typer.Option(help="transformers is the reference [transformers].", rich_help_panel=_COMPUTE)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Studies at once [8; vllm: 256].", rich_help_panel=_COMPUTE)
    ] = None,
    dtype: Annotated[
        Dtype | None,
        typer.Option(help="Numbers computed with [bfloat16 on a GPU, else float32].", rich_help_panel=_COMPUTE),
    ] = None,
    device: Annotated[Device | None, typer.Option(help="Where it runs [auto].", rich_help_panel=_COMPUTE)] = None,
    gpu_memory: Annotated[
        float | None, typer.Option(help="With vllm: its share of the GPU's memory [0.85].", rich_help_panel=_COMPUTE)
    ] = None,
    parity_studies: Annotated[
        int | None,
        typer.Option(
            help="With vllm: studies on which it must write as transformers does before it starts; 0: none [64].",
            rich_help_panel=_COMPUTE,
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that read films [2].", rich_help_panel=_COMPUTE)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew where OUTPUT is another run's.")] = False,
) -> None:
    """Write a report of each study with a trained generator, as a JSONL file that score-reports reads.

    Running the same command again goes on where it stopped; what was written for the same study by the same model is
    kept.

    Exit codes: 0 written, 2 wrong use or input, 3 more than --max-failures failed, 1 the disk or the GPU failed, 130
    stopped by Ctrl-C.
    """
    flags = _values(locals())
    _refuse_small_install("generate-reports")
    from llava.commands import generate

    raise typer.Exit(generate(flags))


app.command(name="generate")(generate_reports)


@app.command()
def plot(run: Annotated[Path, typer.Argument(help="Output folder of train-llava.")]) -> None:
    """Draw RUN/loss.png of RUN/log.jsonl: losses and learning rates."""
    _refuse_small_install("python -m llava plot")
    from llava.commands import plot as draw

    raise typer.Exit(draw(run))


@app.command()
def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="A model folder, the output folder of train-llava, or one of its STAGE/states/step_N."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder that is not there yet.")],
    layout: Annotated[
        Layout, typer.Option(help="vllm adds a configuration that vLLM reads the same weights with.")
    ] = Layout.VLLM,
) -> None:
    """Merge LoRA adapters, and write the checkpoint as transformers and vLLM read it."""
    _refuse_small_install("python -m llava export")
    from llava.commands import export as run

    raise typer.Exit(run(checkpoint, output, layout.value))


@app.command()
def parity(
    checkpoint: Annotated[
        Path, typer.Option("--checkpoint", "-c", help="A model folder, or the output folder of train-llava.")
    ],
    studies: Annotated[Path, typer.Option("--studies", "-s", help="Table of studies: CSV, TSV, JSONL, Parquet.")],
    num_studies: Annotated[int, typer.Option("--count", min=1, help="How many of them.")] = 64,
    root: Annotated[Path | None, typer.Option(help="Folder of relative film paths [the table's].")] = None,
    device: Annotated[Device, typer.Option(help="Where both run.")] = Device.AUTO,
    dtype: Annotated[Dtype, typer.Option(help="Numbers computed with [bfloat16 on a GPU, else float32].")] = Dtype.AUTO,
    gpu_memory: Annotated[float, typer.Option(help="vLLM's share of the GPU's memory.")] = 0.85,
    skip_guards: Annotated[
        list[str] | None, typer.Option("--skip-guard", help="A check of the films not to make; may be repeated.")
    ] = None,
) -> None:
    """Whether vLLM writes what transformers writes, before a long run.

    Exit codes: 0 it does, 3 it does not, 2 wrong use or input, 1 the GPU failed.
    """
    flags = _values(locals())
    _refuse_small_install("python -m llava parity")
    from llava.commands import parity as run

    raise typer.Exit(run(flags))


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="TOML file of the sweep, such as examples/encoder_sweep.toml.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of everything, in place of the file's.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what each run takes in GPU-hours, run nothing.")] = False,
) -> None:
    """Train, generate and score with one encoder after another; a table and a plot against pretraining size.

    Running the same command again goes on where it stopped, run by run.

    Exit codes: 0 all scored, 2 wrong use or settings, 3 a run failed and the others were scored, 1 the disk failed,
    130 stopped by Ctrl-C.
    """
    _refuse_small_install("python -m llava sweep")
    from llava.commands import sweep as run

    raise typer.Exit(run(file, output, plan=plan))


@app.command(name="tiny-language-model")
def tiny_language_model(
    output: Annotated[Path, typer.Argument(help="Folder for the model.")],
    texts: Annotated[
        Path, typer.Option(help="Table of studies (CSV, TSV, JSONL, Parquet) whose texts the tokenizer is made of.")
    ],
    width: Annotated[int, typer.Option(help="Of a token.")] = 64,
    layers: Annotated[int, typer.Option(help="Number of them.")] = 2,
    vocab_size: Annotated[int, typer.Option(help="Tokens at most.")] = 512,
    seed: Annotated[int, typer.Option(help="Of its random weights.")] = 0,
) -> None:
    """Write a small Llama of random weights, to try train-llava out without a download."""
    _refuse_small_install("python -m llava tiny-language-model")
    from llava.commands import tiny_language_model as run

    raise typer.Exit(run(output, texts, width=width, layers=layers, vocab_size=vocab_size, seed=seed))


def train_llava_main() -> None:
    """The `train-llava` command."""
    _alone("train-llava", train_llava)


def generate_reports_main() -> None:
    """The `generate-reports` command."""
    _alone("generate-reports", generate_reports)


def _parsed(settings: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE, the value as TOML has it, or else as text: 1e-5, true, ["a", "b"], "quoted", plain."""
    from llava.config import ConfigError

    found: dict[str, Any] = {}
    for one in settings:
        key, equals, text = one.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {one}: write KEY=VALUE, such as stages.tune.learning_rate=1e-5")
        try:
            found[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            found[key.strip()] = text
    return found


def _values(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in flags.items()}


def _refuse_small_install(command: str) -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        from llava.console import Screen

        Screen(command).error(f"{', '.join(missing)} not installed; install the extra: pip install 'carina-cxr[train]'")
        raise typer.Exit(2)


def _alone(name: str, command: Callable[..., None]) -> None:
    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    one.command(name=name)(command)
    one()
