"""`score-reports`, `compare-scores` and `python -m eval`: parse and dispatch; only `console` prints."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

# Heavy imports stand inside the functions: --help must come at once.

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__, rich_markup_mode=None
)
_INPUT, _TEXT, _LABELS, _NETWORK, _JUDGE, _SERVER, _INTERVALS, _OUTPUT = (
    "Input", "ROUGE-L", "Labels and placement", "CheXbert", "RadFact", "Language model", "Intervals", "Output",
)  # fmt: skip


class Labeler(StrEnum):
    RULES = "rules"
    MODEL = "model"


class Device(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Compat(StrEnum):
    RADFACT = "radfact"


class Stream(StrEnum):
    FAST = "fast"
    REFERENCE = "reference"


class StructuredOutput(StrEnum):
    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"


class Correction(StrEnum):
    HOLM = "holm"
    BONFERRONI = "bonferroni"


Model = Annotated[
    str | None, typer.Option(help="The judge; also the labeler with --labeler model.", rich_help_panel=_SERVER)
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        help="OpenAI-compatible server, such as http://127.0.0.1:8000/v1; the key is read from OPENAI_API_KEY.",
        rich_help_panel=_SERVER,
    ),
]
AllowRemote = Annotated[
    bool | None,
    typer.Option(
        "--allow-remote",
        help="Allow report texts to be sent to a server that is not this machine.",
        rich_help_panel=_SERVER,
    ),
]
Temperature = Annotated[float | None, typer.Option(help="Sampling temperature [0].", rich_help_panel=_SERVER)]
ServerSampling = Annotated[
    bool | None, typer.Option("--server-sampling", help="Send neither temperature nor seed.", rich_help_panel=_SERVER)
]
MaxTokens = Annotated[int | None, typer.Option(help="Longest answer in tokens [2048].", rich_help_panel=_SERVER)]
Structured = Annotated[
    StructuredOutput | None,
    typer.Option(help="How the server is told the schema [json_schema].", rich_help_panel=_SERVER),
]
Concurrency = Annotated[int | None, typer.Option(help="Requests in flight, 1 to 512 [64].", rich_help_panel=_SERVER)]
RequestTimeout = Annotated[
    float | None, typer.Option(help="Seconds before a request is given up [120].", rich_help_panel=_SERVER)
]
MaxAttempts = Annotated[
    int | None, typer.Option(help="Tries per question when the server fails [5].", rich_help_panel=_SERVER)
]
PriceIn = Annotated[float | None, typer.Option(help="Dollars per million prompt tokens.", rich_help_panel=_SERVER)]
PriceCached = Annotated[
    float | None, typer.Option(help="Dollars per million cached prompt tokens.", rich_help_panel=_SERVER)
]
PriceOut = Annotated[float | None, typer.Option(help="Dollars per million answer tokens.", rich_help_panel=_SERVER)]
PerMinute = Annotated[int | None, typer.Option(rich_help_panel=_SERVER)]
Config = Annotated[
    Path | None,
    typer.Option(help="TOML file with any of these settings; flags win.", rich_help_panel=_OUTPUT),
]


def score_reports(
    predictions: Annotated[Path, typer.Argument(help="Generated reports: CSV, TSV, JSONL or Parquet.")],
    references: Annotated[Path, typer.Argument(help="Reference reports of the same studies.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for scores.json, per_study.parquet, ...")],
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Of rouge_l, chexbert, radfact, incorrect_placement, joined by commas [all that can be computed; what "
            "the others need is said]."
        ),
    ] = None,
    id_column: Annotated[str | None, typer.Option(help="Column of study ids.", rich_help_panel=_INPUT)] = None,
    prediction_column: Annotated[
        str | None, typer.Option(help="Column of generated texts.", rich_help_panel=_INPUT)
    ] = None,
    reference_column: Annotated[
        str | None, typer.Option(help="Column of reference texts.", rich_help_panel=_INPUT)
    ] = None,
    patient_column: Annotated[
        str | None,
        typer.Option(help="Column of patient ids, by which studies belong together.", rich_help_panel=_INPUT),
    ] = None,
    subgroups: Annotated[
        str | None,
        typer.Option(help="Metadata columns to score by, such as sex,manufacturer.", rich_help_panel=_INPUT),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Text encoding of the inputs [utf-8].", rich_help_panel=_INPUT)
    ] = None,
    allow_missing: Annotated[
        bool | None,
        typer.Option(
            "--allow-missing",
            help="Score what joins although ids are missing or stand twice, and empty texts as reports that say "
            "nothing; without it nothing is scored.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    use_stemmer: Annotated[
        bool | None, typer.Option("--use-stemmer", help="Stem words first, as RadEval does.", rich_help_panel=_TEXT)
    ] = None,
    labels: Annotated[
        bool | None,
        typer.Option(
            "--labels",
            help="CheXpert-14 F1 from the labels of label-reports instead of CheXbert's.",
            rich_help_panel=_LABELS,
        ),
    ] = None,
    prediction_labels: Annotated[
        Path | None,
        typer.Option(help="Rows of label-reports for the generated texts [made now].", rich_help_panel=_LABELS),
    ] = None,
    reference_labels: Annotated[
        Path | None,
        typer.Option(help="Rows of label-reports for the reference texts [made now].", rich_help_panel=_LABELS),
    ] = None,
    labeler: Annotated[
        Labeler | None,
        typer.Option(help="Who makes labels that are not given [rules, offline].", rich_help_panel=_LABELS),
    ] = None,
    by_side: Annotated[
        bool | None,
        typer.Option(
            "--by-side",
            help="Incorrect Placement F1 by study, device and side instead of study and device.",
            rich_help_panel=_LABELS,
        ),
    ] = None,
    chexbert_checkpoint: Annotated[
        str | None,
        typer.Option(
            help="chexbert.pth, or a hub repository that holds it, such as StanfordAIMI/RRG_scorers.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    chexbert_revision: Annotated[
        str | None, typer.Option(help="Revision of the hub repository.", rich_help_panel=_NETWORK)
    ] = None,
    chexbert_vocab: Annotated[
        Path | None,
        typer.Option(help="BERT's vocab.txt [beside the checkpoint].", rich_help_panel=_NETWORK),
    ] = None,
    device: Annotated[Device | None, typer.Option(help="Where CheXbert runs [auto].", rich_help_panel=_NETWORK)] = None,
    batch_tokens: Annotated[
        int | None,
        typer.Option(help="Tokens CheXbert reads at once [1,024 on a CPU, else 16,384].", rich_help_panel=_NETWORK),
    ] = None,
    compat: Annotated[
        Compat | None,
        typer.Option(help="Treat failed judgments as that package does.", rich_help_panel=_JUDGE),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="Take judgments from an earlier run's judgments.jsonl; nobody is asked.", rich_help_panel=_JUDGE
        ),
    ] = None,
    max_failures: Annotated[
        float | None,
        typer.Option(help="Share of failures of a metric before the exit code is 3 [0.01].", rich_help_panel=_JUDGE),
    ] = None,
    model: Model = None,
    base_url: BaseUrl = None,
    allow_remote: AllowRemote = None,
    temperature: Temperature = None,
    server_sampling: ServerSampling = None,
    max_tokens: MaxTokens = None,
    structured_output: Structured = None,
    concurrency: Concurrency = None,
    request_timeout_s: RequestTimeout = None,
    max_attempts: MaxAttempts = None,
    requests_per_minute: PerMinute = None,
    tokens_per_minute: PerMinute = None,
    price_in: PriceIn = None,
    price_cached: PriceCached = None,
    price_out: PriceOut = None,
    replicates: Annotated[
        int | None, typer.Option(help="Bootstrap resamples [500].", rich_help_panel=_INTERVALS)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the resamples [0].", rich_help_panel=_INTERVALS)] = None,
    rng: Annotated[
        Stream | None,
        typer.Option(help="Stream of the resamples; reference is RadFact's own [fast].", rich_help_panel=_INTERVALS),
    ] = None,
    iid: Annotated[
        bool | None,
        typer.Option(
            "--iid",
            help="Resample studies, as the paper does, although patients are known: intervals are then too short.",
            rich_help_panel=_INTERVALS,
        ),
    ] = None,
    worst: Annotated[
        int | None, typer.Option(help="Worst studies of each metric in report.html [10].", rich_help_panel=_OUTPUT)
    ] = None,
    no_texts: Annotated[
        bool | None,
        typer.Option("--no-texts", help="Keep report texts out of report.html.", rich_help_panel=_OUTPUT),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="Folder of kept answers [.carina in the output folder].", rich_help_panel=_OUTPUT),
    ] = None,
    config: Config = None,
) -> None:
    """Score generated chest X-ray reports against references: ROUGE-L, CheXbert F1, RadFact, Incorrect Placement F1.

    Every figure comes as point estimate and median with its 95 % bootstrap interval, over patients where the files name
    them. Running the same command again asks no question twice.

    Exit codes: 0 scored, 2 wrong use or input (nothing scored), 3 more than --max-failures failed, 1 the disk or store
    failed, 130 stopped by Ctrl-C.
    """
    flags = _flags(locals())
    from eval.run import score

    raise typer.Exit(score(config, flags))


def compare_scores(
    runs: Annotated[list[Path], typer.Argument(help="Two or more folders that score-reports wrote.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the comparison as JSON too.")] = None,
    all_figures: Annotated[
        bool, typer.Option("--all-figures", help="Compare every figure, not the headline ones alone.")
    ] = False,
    correction: Annotated[
        Correction, typer.Option(help="How p is corrected for the number of tests.")
    ] = Correction.HOLM,
    replicates: Annotated[int, typer.Option(min=1, help="Bootstrap resamples.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
    iid: Annotated[bool, typer.Option("--iid", help="Resample studies although patients are known.")] = False,
    allow_unlike: Annotated[
        bool, typer.Option("--allow-unlike", help="Compare although settings or reference texts differ.")
    ] = False,
) -> None:
    """Say whether systems differ, by a paired bootstrap on the studies that all runs share. Nothing is measured again.

    Exit codes: 0 compared, 2 the runs cannot be compared, 1 the output cannot be written.
    """
    from eval.commands import compare

    raise typer.Exit(
        compare(
            runs,
            output,
            all_figures=all_figures,
            correction=correction.value,
            replicates=replicates,
            seed=seed,
            iid=iid,
            allow_unlike=allow_unlike,
        )
    )


@app.command()
def calibrate_judge(
    pairs: Annotated[
        Path,
        typer.Argument(help="Labelled statements: JSONL of pair_id, hypothesis, reference, label; or RadFact's JSON."),
    ],
    model: Model = None,
    base_url: BaseUrl = None,
    allow_remote: AllowRemote = None,
    temperature: Temperature = None,
    server_sampling: ServerSampling = None,
    max_tokens: MaxTokens = None,
    structured_output: Structured = None,
    concurrency: Concurrency = None,
    request_timeout_s: RequestTimeout = None,
    max_attempts: MaxAttempts = None,
    requests_per_minute: PerMinute = None,
    tokens_per_minute: PerMinute = None,
    price_in: PriceIn = None,
    price_cached: PriceCached = None,
    price_out: PriceOut = None,
    store: Annotated[Path | None, typer.Option(help="Folder of kept answers [.carina].")] = None,
    replicates: Annotated[int | None, typer.Option(help="Bootstrap resamples [2000].")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the resamples [0].")] = None,
    max_failures: Annotated[
        float | None, typer.Option(help="Share of judgments that may fail before the exit code is 3 [0.01].")
    ] = None,
    config: Config = None,
) -> None:
    """Measure a RadFact judge against people: agreement, Cohen's kappa, sensitivity, specificity, with intervals."""
    flags = _flags(locals())
    from eval.commands import calibrate_judge as run

    raise typer.Exit(run(config, flags))


@app.command()
def selfcheck() -> None:
    """Prove this installation against frozen values of reference implementations; exit code 3 when one differs."""
    from eval.commands import selfcheck as run

    raise typer.Exit(run())


app.command(name="score")(score_reports)
app.command(name="compare")(compare_scores)


def compare_scores_main() -> None:
    """The `compare-scores` command."""
    _alone("compare-scores", compare_scores)


def score_reports_main() -> None:
    """The `score-reports` command."""
    _alone("score-reports", score_reports)


def _alone(name: str, command: Callable[..., None]) -> None:
    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    one.command(name=name)(command)
    one()


def _flags(given: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.value if isinstance(value, StrEnum) else value for name, value in given.items() if name != "config"
    }
