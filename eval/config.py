"""Everything one run of `score-reports` can be told; a TOML file gives it, flags override it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from labeling.runtime.settings import ModelSettings

METRICS = ("rouge_l", "chexbert", "radfact", "incorrect_placement")


class ScoreConfig(ModelSettings):
    """Settings of one run.

    metrics: None computes what can be computed and says what the others need.
    labels: CheXpert-14 F1 from the labels of label-reports instead of CheXbert's.
    labeler: who makes labels that are not given: the built-in rules, or the language model of these settings.
    """

    predictions: Path
    references: Path
    output: Path
    metrics: tuple[str, ...] | None = None
    id_column: str | None = None
    prediction_column: str | None = None
    reference_column: str | None = None
    patient_column: str | None = None
    subgroups: tuple[str, ...] = ()
    encoding: str = "utf-8"
    allow_missing: bool = False

    use_stemmer: bool = False

    labels: bool = False
    prediction_labels: Path | None = None
    reference_labels: Path | None = None
    labeler: Literal["rules", "model"] = "rules"
    by_side: bool = False

    chexbert_checkpoint: str | None = None
    chexbert_revision: str | None = None
    chexbert_vocab: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    batch_tokens: Annotated[int, Field(ge=1)] | None = None

    compat: Literal["radfact"] | None = None
    replay: Path | None = None
    max_failures: Annotated[float, Field(ge=0, le=1)] = 0.01

    replicates: Annotated[int, Field(ge=1)] = 500
    seed: Annotated[int, Field(ge=0)] = 0
    rng: Literal["fast", "reference"] = "fast"
    iid: bool = False

    worst: Annotated[int, Field(ge=0)] = 10
    no_texts: bool = False
    store: Path | None = None

    @field_validator("metrics", "subgroups", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unknown = [name for name in self.metrics or () if name not in METRICS]
        if unknown or self.metrics == ():
            raise ValueError(f"metrics {', '.join(unknown) or '(none)'} not known; known: {', '.join(METRICS)}")
        if self.replay is not None and self.uses_model and self.labeler == "rules":
            raise ValueError("replay asks no model: leave out --model and --base-url")
        if self.labeler == "model" and not self.uses_model:
            raise ValueError("labeler model needs a language model: name it with --model and --base-url")
        for given, wanted in ((self.chexbert_revision, "chexbert_revision"), (self.chexbert_vocab, "chexbert_vocab")):
            if given is not None and self.chexbert_checkpoint is None:
                raise ValueError(f"{wanted} needs chexbert_checkpoint")
        if self.labels and not self.wants("chexbert"):
            raise ValueError("labels says where the CheXpert-14 F1 comes from: add chexbert to metrics")
        if self.labels and self.chexbert_checkpoint is not None:
            raise ValueError("labels and chexbert_checkpoint exclude each other: F1 comes from one of the two")
        return self

    @property
    def store_folder(self) -> Path:
        """Where answers are kept: in `.carina` in the output folder, unless told otherwise."""
        return self.store or self.output / ".carina"

    def wants(self, metric: str) -> bool:
        return self.metrics is None or metric in self.metrics

    def lacking(self, metric: str) -> str | None:
        """What a metric needs and these settings don't give, or None."""
        if metric == "radfact" and not self.uses_model and self.replay is None:
            return (
                "needs a language model as judge: name it with --model and --base-url, or take the judgments of an "
                "earlier run with --replay"
            )
        if metric == "chexbert" and self.chexbert_checkpoint is None and not self.labels:
            return (
                "needs CheXbert's weights: --chexbert-checkpoint FILE (or the hub's StanfordAIMI/RRG_scorers) and "
                "BERT's vocab.txt; or --labels takes the labels of label-reports instead"
            )
        if metric == "chexbert" and not self.labels and not all(map(find_spec, ("torch", "transformers"))):
            return "needs PyTorch and transformers: pip install 'carina-cxr[torch]'"
        return None


class CalibrationConfig(ModelSettings):
    """Settings of one run of `calibrate-judge`."""

    pairs: Path
    store: Path = Path(".carina")
    replicates: Annotated[int, Field(ge=1)] = 2000
    seed: Annotated[int, Field(ge=0)] = 0
    max_failures: Annotated[float, Field(ge=0, le=1)] = 0.01

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.uses_model:
            raise ValueError("no judge named: give --model and --base-url")
        return self
