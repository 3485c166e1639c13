"""Rows that travel between folders. Parquet columns and JSONL keys bear these names."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict


class Report(NamedTuple):
    """A radiologist's text of one study.

    `text` is kept exactly as given: every offset in a label counts its characters (Unicode code points).
    """

    report_id: str
    text: str


class GenerationStudy(BaseModel):
    """One study for report generation: what a radiologist had before dictating, and what was dictated.

    Image paths are as the table gives them; None is a view there is not, None or blank a text there is not. At least
    one current film is needed; the prior report counts only beside a prior film. `findings` is the target (None where
    reports are only generated); `prior_report` is the prior study's whole text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    study_id: str
    patient_id: str | None = None
    frontal: str | None = None
    lateral: str | None = None
    prior_frontal: str | None = None
    frontal_view: str | None = None  # "PA", "AP": of guards; None takes the film's own tags
    indication: str | None = None
    technique: str | None = None
    comparison: str | None = None
    prior_report: str | None = None
    findings: str | None = None
