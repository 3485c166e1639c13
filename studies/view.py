"""The view position of a chest film, from the tags that state it and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

# PS3.16 CID 4010 "DX View": SNOMED CT, and the SNOMED-RT codes of older files
_CODES = {
    "AP": ("399348003", "R-10206"),
    "PA": ("272479007", "R-10214", "R-40888"),
    "LATERAL": ("399067008", "R-102CD", "399173006", "R-10236", "399198007", "R-10232"),
}
_VIEW_OF_CODE = {code: view for view, codes in _CODES.items() for code in codes}

# PS3.3 C.8.1.2 and C.8.11.5 (View Position) and what modalities write there and in Series Description
_WORDS = {"AP": "AP", "PA": "PA", "LAT": "LATERAL", "LATERAL": "LATERAL", "LL": "LATERAL", "RL": "LATERAL"}
_OTHER_WORDS = {
    *("LLD", "RLD", "DECUB", "DECUBITUS", "LLO", "RLO", "LAO", "LPO", "RAO", "RPO", "OBL", "OBLIQUE"),
    *("AXIAL", "LORDOTIC", "SWIMMERS"),
}
_SHORT_LATERALS = {"LL", "RL"}  # in free text also lower limb, left lung, ...


def view_position(dataset: Dataset) -> tuple[str | None, str | None]:
    """The view ("AP", "PA", "LATERAL", "OTHER" or None) and the tag that states it.

    Asked in this order: View Position, View Code Sequence, Patient Orientation (which tells a lateral, whose rows run
    front to back, but not AP from PA), the words of Series Description. Tags that disagree give no view.
    """
    stated = {tag: view for tag, view in _statements(dataset) if view is not None}
    if not stated:
        return None, None
    if len(set(stated.values())) > 1:
        return None, "conflict: " + ", ".join(f"{tag} {view}" for tag, view in stated.items())
    tag, view = next(iter(stated.items()))
    return view, tag


def _statements(dataset: Dataset) -> list[tuple[str, str | None]]:
    position = str(dataset.get("ViewPosition") or "")
    codes = [str(item.get("CodeValue", "")) for item in dataset.get("ViewCodeSequence") or []]
    coded = {_VIEW_OF_CODE.get(code, "OTHER") for code in codes if code}
    orientation = dataset.get("PatientOrientation") or []
    is_lateral = len(orientation) == 2 and orientation[0] in ("A", "P") and orientation[1] in ("F", "H")
    series = _words(str(dataset.get("SeriesDescription") or "")) - _SHORT_LATERALS
    return [
        ("ViewPosition", view_of_text(position)),
        ("ViewCodeSequence", coded.pop() if len(coded) == 1 else None),
        ("PatientOrientation", "LATERAL" if is_lateral else None),
        ("SeriesDescription", _view_of(series)),
    ]


def view_of_text(text: str) -> str | None:
    """The view that somebody's word for it means ("pa", "LATERAL", "LL"): "AP", "PA", "LATERAL", "OTHER" or None."""
    return _view_of(_words(text))


def _words(text: str) -> set[str]:
    return set(re.findall(r"[A-Z]+", text.upper()))


def _view_of(words: set[str]) -> str | None:
    if words & _OTHER_WORDS:
        return "OTHER"
    views = {_WORDS[word] for word in words & _WORDS.keys()}
    return views.pop() if len(views) == 1 else None
