"""A stage's model: put together as the stage begins, and written as a folder when it is done or out of one state."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor

from llava.config import TrainSettings
from llava.folder import save_model
from llava.model import CxrLlavaForConditionalGeneration
from llava.processor import CxrLlavaProcessor
from llava.training.adapters import FOLDER as ADAPTER
from llava.training.adapters import add_lora, has_adapters, plain_state, save_adapter
from llava.training.outline import Outline, outline_of, outlined
from llava.training.parts import Counts, counts, set_trainable
from llava.training.quantization import dequantized_state, quantize_language_model
from llava.training.run_record import read_run
from llava.training.starting_model import starting_model
from llava.training.state import StateError, load_weights, publish, read_state, reason_of
from llava.training.step_share import seed_of
from llava.training.together import from_first, on_first

if TYPE_CHECKING:
    from llava.training.parallel import Parallel


class StageModel(NamedTuple):
    """A model whose parts learn as its stage says, and how many weights of each part do."""

    model: CxrLlavaForConditionalGeneration
    processor: CxrLlavaProcessor
    counts: Counts


def stage_model(
    settings: TrainSettings, number: int, identify: Callable[[str, str], None], device: torch.device
) -> StageModel:
    """What a stage, by its place, begins to train: in 4 bits and with fresh adapters where the settings say so.

    Args:
        identify: as `starting_model` takes it. device: where 4-bit weights are made.

    Raises:
        ValueError: as `starting_model`, `quantize_language_model` and `add_lora` raise it.
    """
    stage = settings.stages[number]
    model, processor = starting_model(settings, number, identify)
    if settings.language_model.quantize is not None:
        quantize_language_model(model, precision=settings.compute.precision, device=device)
    if stage.lora is not None:
        torch.manual_seed(seed_of(settings.seed, number))
        add_lora(model, stage.lora)
    return StageModel(model, processor, set_trainable(model, stage))


def stage_model_together(
    settings: TrainSettings, number: int, identify: Callable[[str, str], None], parallel: Parallel
) -> StageModel:
    """`stage_model` in all processes of a job; where one reads, the others get an outline, which `prepare` fills.

    Args:
        identify: called in the first process.

    Raises:
        ValueError: as `stage_model` does; of what is wrong where one reads, in the first process.
        RefusedError: then, in the others.
    """
    if not parallel.one_reads:

        def identify_together(name: str, identity: str) -> None:
            on_first(parallel, lambda: identify(name, identity))

        return stage_model(settings, number, identify_together, parallel.device)
    read: list[StageModel] = []

    def read_it() -> tuple[Outline, CxrLlavaProcessor]:
        read.append(stage_model(settings, number, identify, parallel.device))
        return outline_of(read[0].model), read[0].processor

    outline, processor = from_first(parallel, read_it)
    if read:
        return read[0]
    model = outlined(outline, settings.stages[number])
    return StageModel(model, processor, counts(model))


def write_stage_model(
    model: CxrLlavaForConditionalGeneration,
    processor: CxrLlavaProcessor,
    folder: Path,
    *,
    record: Mapping[str, Any],
    weights: Mapping[str, Tensor],
) -> None:
    """Write a model folder, adapters beside the weights they adapt; it has its name when all of it is on the disk.

    Args:
        weights: the whole state, adapters among them, 4-bit weights as the matrices they stand for.

    Raises:
        StateError: the disk is full or cannot be written; nothing is left of it.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        save_model(model, processor, part, record=record, state_dict=plain_state(weights))
        if has_adapters(model):
            save_adapter(model, part / ADAPTER, weights)
        publish(part, folder)
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StateError(
            f"the model {folder} could not be written: {reason_of(error)}; make room and give the same command again"
        ) from None


def write_model_of_state(state: Path, folder: Path) -> None:
    """The model that a stage would have written, had it ended with this state.

    Args:
        state: RUN/STAGE/states/step_N; the run's own encoder and language model must be where they were.
        folder: of the model; not there yet.

    Raises:
        ValueError: no whole state, no run around it, or a part of the run is no longer what it was.
        StateError: the state cannot be read, or the model cannot be written.
    """
    told = read_state(state)
    run = state.resolve().parents[2]
    record, settings = read_run(run)
    settings = settings.model_copy(update={"output": run})  # it may have been moved
    names = [stage.name for stage in settings.stages]
    stage = state.resolve().parents[1].name
    if stage not in names:
        raise ValueError(f"{state} is of stage {stage!r}, which {run} does not have ({', '.join(names)})")

    def compare(name: str, identity: str) -> None:
        known = record["identities"].get(name)
        if known != identity:
            raise ValueError(f"{name} is not what this run began with ({identity[:12]}, not {str(known)[:12]}: {run})")

    model, processor, _ = stage_model(settings, names.index(stage), compare, torch.device("cpu"))
    load_weights(told, model)
    weights = dequantized_state(model, model.state_dict())
    about = {"stage": stage, "steps": told.step}
    write_stage_model(model, processor, folder, record=record | about, weights=weights)
