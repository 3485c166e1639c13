"""run.json of an output folder: what the run was told and what it was made from, so that nobody goes on with another.

A resumed run must end with the weights of an unbroken one. So its settings must be those of its beginning, but for what
says where things are, how they are computed and what is reported; and prompt, table, encoder and language model must be
the same by their contents.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from encoders.encode.address import file_sha256
from llava.config import TrainSettings

RECORD_NAME = "run.json"

# Places (their contents are compared instead), and what changes no weight by more than rounding and dropout's draws do
# at another number of processes.
_FREE = (
    "output",
    "encoder.weights",
    "encoder.accept_licence",
    "language_model.path",
    "data.train",
    "data.validation",
    "data.root",
    "data.workers",
    "data.max_bad_share",
    "compute.token_budget",
    "compute.packing",
    "compute.gradient_checkpointing",
    "compute.parallel",
    "compute.compile",
    "compute.liger",
    "compute.device",
    "checkpoints",
    "validation.every_steps",
    "validation.generate",
    "validation.controls",
    "validation.max_new_tokens",
    "validation.metrics",
    "logging",
    "cost",
)
_LIBRARIES = ("torch", "transformers", "accelerate", "peft", "numpy")


class RecordError(ValueError):
    """The output folder holds a run with other settings or of other things."""


class RunRecord:
    """The record of a run, begun or gone on with. Only the first process has one.

    Raises:
        RecordError: a setting that matters differs from those of the run that is there.
    """

    def __init__(self, output: Path, settings: TrainSettings, *, has_begun: bool = False) -> None:
        """
        Args:
            has_begun: the first stage is done, so encoder and language model are not read again: where they were found
                stays what it was.
        """
        self._path = output / RECORD_NAME
        self._settings = settings
        self._identities: dict[str, str] = {}
        if self._path.exists():
            told, before = read_run(output)
            _refuse_other_settings(self._path, before, settings)
            self._identities = dict(told["identities"])
            if has_begun:
                known = {"encoder": before.encoder, "language_model": before.language_model}
                self._settings = settings.model_copy(update=known)
        self._write()

    def identify(self, name: str, identity: str) -> None:
        """Note what something is by its contents, or compare it with what it was.

        Raises:
            RecordError: it is another.
        """
        known = self._identities.get(name)
        if known is None:
            self._identities[name] = identity
            self._write()
        elif known != identity:
            raise RecordError(
                f"{name} is not what this run began with ({identity[:12]}, not {known[:12]}: {self._path}); give back "
                "the old one, or name another output"
            )

    def as_dict(self) -> dict[str, Any]:
        versions = {name: metadata.version(name) for name in _LIBRARIES}
        return {
            "settings": self._settings.model_dump(mode="json"),
            "identities": dict(self._identities),
            "versions": versions | {"carina-cxr": metadata.version("carina-cxr"), "python": platform.python_version()},
        }

    def _write(self) -> None:
        part = self._path.with_name(RECORD_NAME + ".part")
        with part.open("w", encoding="utf-8") as file:
            file.write(json.dumps(self.as_dict(), indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)


def table_sha256(path: Path) -> str:
    """Of a table's file, or of the names and bytes of a folder's Parquet files."""
    if not path.is_dir():
        return file_sha256(path)
    files = [f"{file.name} {file_sha256(file)}" for file in sorted(path.glob("*.parquet"))]
    return hashlib.sha256("\n".join(files).encode()).hexdigest()


def differing_settings(before: TrainSettings, now: TrainSettings) -> list[str]:
    """Settings that matter and differ, "name: before, now"; stages may be added at the end."""
    old, new = _flat(before), _flat(now)
    names = [stage.name for stage in before.stages]
    if [stage.name for stage in now.stages][: len(names)] != names:
        return [f"stages: {', '.join(names)}, now {', '.join(stage.name for stage in now.stages)}"]
    added = tuple(f"stages.{stage.name}." for stage in now.stages[len(names) :])
    return [
        f"{key}: {old.get(key)!r}, now {new.get(key)!r}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not _is_free(key) and not key.startswith(added)
    ]


def read_run(output: Path) -> tuple[dict[str, Any], TrainSettings]:
    """run.json of a run's output folder, and the settings in it.

    Raises:
        RecordError: it is missing or damaged, or another version's.
    """
    path = output / RECORD_NAME
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not {"settings", "identities"} <= told.keys():
            raise ValueError("it has no settings or identities")
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}; a run of train-llava has one") from None
    except (ValueError, AttributeError) as error:
        raise RecordError(f"{path} is damaged ({error}); name another output") from None
    try:
        return told, TrainSettings.model_validate(told["settings"])
    except ValueError:
        raise RecordError(
            f"{path} was written by another version of train-llava, whose settings cannot be read by this one; "
            "name another output"
        ) from None


def _refuse_other_settings(path: Path, before: TrainSettings, settings: TrainSettings) -> None:
    if differing := differing_settings(before, settings):
        raise RecordError(
            f"{path.parent} holds a run with other settings, which would not end with its weights: "
            f"{'; '.join(differing)}. Set them back, or name another output"
        )


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in _FREE)


def _flat(settings: TrainSettings) -> dict[str, Any]:
    told = settings.model_dump(mode="json")
    told["stages"] = {stage["name"]: stage for stage in told["stages"]}
    return dict(_leaves(told, ""))


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else name)
    else:
        yield key, value
