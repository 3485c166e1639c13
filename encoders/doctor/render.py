"""A diagnosis as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from encoders.doctor.drift import Verdict
from encoders.doctor.examine import Diagnosis
from encoders.doctor.search import Explanation

_NEAREST = 3  # explanations shown when none is good enough


def render(diagnosis: Diagnosis) -> list[str]:
    """What was found, in the order in which one would ask."""
    lines = [f"{diagnosis.path.name} for {diagnosis.encoder}", *_table(diagnosis.steps)]
    lines += _table([("guards", text) for text in diagnosis.guards or ("all pass",)])
    if diagnosis.drift is not None:
        lines += ["", f"Your pixels: {diagnosis.verdict}", *_table(_measures(diagnosis))]
        if diagnosis.verdict is not Verdict.IDENTICAL:
            lines += ["", *_causes(diagnosis)]
    return lines


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [f"  {name:<24} {value}" for name, value in rows]


def _measures(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    drift, features = diagnosis.drift, diagnosis.features
    if drift is not None:
        yield "drift, levels of 255", f"mean {drift.mean:.3f}, 99th percentile {drift.p99:.3f}, largest {drift.max:.3f}"
        yield "correlation", "none, one side is constant" if drift.correlation is None else f"{drift.correlation:.6f}"
    if features is not None:
        if features.random_weights:
            yield "encoder", "random weights: these cosines say nothing of the published encoder"
        yield "cosine, global vector", f"{features.global_cosine:.6f}"
        yield "cosine, patch tokens", f"mean {features.patch_cosine_mean:.6f}, lowest {features.patch_cosine_min:.6f}"
    for text in diagnosis.user_guards or ("all pass",):
        yield "guards", text


def _causes(diagnosis: Diagnosis) -> Iterator[str]:
    causes = diagnosis.causes
    if not causes:
        yield "No known cause: no mistake, and no two together, explains 90 % of the drift. Nearest:"
        yield from (f"  {_share(found)}" for found in diagnosis.explanations[:_NEAREST])
        return
    best, *alike = causes
    yield f"Likely cause: {_share(best)}"
    yield from (f"  {cause.name}: {cause.advice}" for cause in best.causes)
    if any(cause.aspect == "polarity" for cause in best.causes) and any(
        "polarity" in text for text in diagnosis.guards
    ):
        yield "  but the guard takes the golden input for a negative: the file's own tag may be wrong, not your pixels"
    yield from (f"  cannot be told apart on this film: {other.name}" for other in alike)
    others = [found for found in diagnosis.explanations if found not in causes and len(found.causes) == 1]
    if others:
        yield f"  next best: {_share(others[0])}"


def _share(found: Explanation) -> str:
    share = max(found.explained, 0.0)
    return f"{found.name} (explains {share:.1%} of the drift; {found.residual:.3f} of 255 levels are left)"
