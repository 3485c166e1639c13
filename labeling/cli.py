"""`label-reports` and `python -m labeling`: parse, dispatch, print. Nothing else in this folder prints."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

# Heavy imports stand inside the functions: --help must come at once.

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__, rich_markup_mode=None
)
_RUN, _INPUT, _SERVER = "Run", "Input", "Language model"


class StructuredOutput(StrEnum):
    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"


def label_reports(
    input: Annotated[  # noqa: A002 - the word users type
        str | None, typer.Argument(help="CSV, TSV, JSONL or Parquet file of reports [standard input, also as -].")
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt",
            "-p",
            help="What to ask: all (findings and lines_and_tubes), findings, lines_and_tubes, or line-and-tube types "
            "such as chest_tube; several joined by commas.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where rows go: .jsonl, .parquet or .csv.")
    ] = None,
    id_column: Annotated[str | None, typer.Option(help="Column of report ids.", rich_help_panel=_INPUT)] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of report texts.", rich_help_panel=_INPUT)] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Text encoding of the input [utf-8].", rich_help_panel=_INPUT)
    ] = None,
    allow_bad_rows: Annotated[
        bool | None,
        typer.Option(
            "--allow-bad-rows",
            help="List reports that cannot be labelled (empty, too long, not English) as failures and go on; "
            "without it nothing is asked.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N reports.", rich_help_panel=_INPUT)] = None,
    sample: Annotated[
        int | None, typer.Option(help="Only N reports, chosen by chance.", rich_help_panel=_INPUT)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of --sample [0].", rich_help_panel=_INPUT)] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Ask this model; without it the built-in rules answer.", rich_help_panel=_SERVER),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            help="OpenAI-compatible server, such as http://127.0.0.1:8000/v1; the key is read from OPENAI_API_KEY.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    allow_remote: Annotated[
        bool | None,
        typer.Option(
            "--allow-remote",
            help="Allow report texts to be sent to a server that is not this machine.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Sampling temperature [0].", rich_help_panel=_SERVER)
    ] = None,
    server_sampling: Annotated[
        bool | None,
        typer.Option(
            "--server-sampling",
            help="Send neither temperature nor seed, for models that refuse them.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Longest answer in tokens [2048].", rich_help_panel=_SERVER)
    ] = None,
    structured_output: Annotated[
        StructuredOutput | None,
        typer.Option(
            help="How the server is told the schema [json_schema]; json_object for servers without it.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Requests in flight, 1 to 512 [64].", rich_help_panel=_SERVER)
    ] = None,
    request_timeout_s: Annotated[
        float | None, typer.Option(help="Seconds before a request is given up [120].", rich_help_panel=_SERVER)
    ] = None,
    max_attempts: Annotated[
        int | None, typer.Option(help="Tries per question when the server fails [5].", rich_help_panel=_SERVER)
    ] = None,
    requests_per_minute: Annotated[int | None, typer.Option(rich_help_panel=_SERVER)] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(rich_help_panel=_SERVER)] = None,
    price_in: Annotated[
        float | None, typer.Option(help="Dollars per million prompt tokens.", rich_help_panel=_SERVER)
    ] = None,
    price_cached: Annotated[
        float | None, typer.Option(help="Dollars per million cached prompt tokens.", rich_help_panel=_SERVER)
    ] = None,
    price_out: Annotated[
        float | None, typer.Option(help="Dollars per million answer tokens.", rich_help_panel=_SERVER)
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Folder of kept answers [.carina beside the output].", rich_help_panel=_RUN)
    ] = None,
    placement_tables: Annotated[
        Path | None, typer.Option(help="Folder of your own ten placement tables.", rich_help_panel=_RUN)
    ] = None,
    max_failures: Annotated[
        float | None,
        typer.Option(help="Share of reports that may fail before the exit code is 3 [0.01].", rich_help_panel=_RUN),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with any of these settings; flags win.", rich_help_panel=_RUN)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked and how many tokens, ask nothing.")
    ] = False,
    show: Annotated[
        str | None, typer.Option(metavar="ID", help="Print one report with its labels and their evidence marked.")
    ] = None,
) -> None:
    """Label chest X-ray reports: findings, lines and tubes, placement, each proven by its sentence.

    Without --model or --base-url the built-in rules answer: nothing is sent anywhere. Running the same command again
    goes on where it stopped; what was answered is never asked again.

    Exit codes: 0 all labelled, 2 wrong use or input (nothing written), 3 more than --max-failures failed, 1 the disk
    or store failed, 130 stopped by Ctrl-C.
    """
    flags = {
        name: value.value if isinstance(value, StructuredOutput) else value
        for name, value in locals().items()
        if name not in {"config", "dry_run", "show"}
    }
    from labeling.run import run

    raise typer.Exit(run(config, flags, dry_run=dry_run, show=show))


@app.command()
def redecide(
    labels: Annotated[Path, typer.Argument(help="JSONL rows that label-reports wrote.")],
    tables: Annotated[Path | None, typer.Option(help="Folder of the ten placement tables [the shipped ones].")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where the new rows go (.jsonl).")] = None,
) -> None:
    """Apply placement tables to stored facts, without asking anybody, and print what changes."""
    from labeling.console import Screen
    from labeling.inputs import InputError
    from labeling.outputs import OutputError
    from labeling.redecide import redecide_file

    screen = Screen()
    try:
        entries, changes = redecide_file(labels, tables, output)
    except (InputError, OutputError, ValueError) as error:
        screen.error(str(error))
        raise typer.Exit(2) from None
    screen.changes(entries, changes)


@app.command()
def schema() -> None:
    """Print the JSON Schema of an output row."""
    import json

    from labeling.schema import row_json_schema

    typer.echo(json.dumps(row_json_schema(), indent=2))


app.command(name="label")(label_reports)


def label_reports_main() -> None:
    """The `label-reports` command."""
    one = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    one.command(name="label-reports")(label_reports)
    one()
