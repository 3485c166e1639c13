"""A causal language model from a folder or the hub, complete to the tensor, with its context stretched if asked.

Shape letters: V tokens of the vocabulary, D width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from encoders.checkpoint import first_names
from encoders.hub import download, parse_address
from encoders.spec import Source
from encoders.torchvision_shim import import_torchvision
from llava.config import LanguageModelSettings, RopeSettings

import_torchvision()
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer  # noqa: E402
from transformers.utils import logging as _typeless  # noqa: E402

_transformers_logging: Any = _typeless

PAD_TOKEN = "<pad>"


class LanguageModel(NamedTuple):
    """model: a transformers causal language model, float32 on the CPU; tokenizer: its own."""

    model: Any
    tokenizer: Any


def load_language_model(settings: LanguageModelSettings) -> LanguageModel:
    """The model in evaluation mode, its rotary positions scaled as `settings.rope` says. (`settings.quantize` is done
    to the whole generator, by `llava.training.quantization`.)

    Raises:
        ValueError: no such folder or commit, files that are missing or damaged, tensors that do not fit, a model that
            is no plain causal language model, or rope scaling that it cannot have.
    """
    where, revision = _address(settings.path)
    config: Any = _read(settings.path, lambda: AutoConfig.from_pretrained(where, revision=revision))
    if config.get_text_config() is not config:
        raise ValueError(f"{settings.path} is a {config.model_type} of several modalities; give a language model alone")
    scale_rope(config, settings.rope, settings.path)
    tokenizer: Any = _read(settings.path, lambda: AutoTokenizer.from_pretrained(where, revision=revision))
    with quiet():
        model, report = _read(
            settings.path,
            lambda: AutoModelForCausalLM.from_pretrained(
                where,
                revision=revision,
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are in the report, which has to be empty
            ),
        )
    refuse_misfits(report, settings.path)
    if not hasattr(model.base_model, "embed_tokens"):
        raise ValueError(
            f"{settings.path} ({config.model_type}) is laid out in a way that the Llava classes do not know; take a "
            "model of Llama's kind"
        )
    _refuse_more_than_a_linear_head(model, settings.path)
    return LanguageModel(model.eval(), tokenizer)


def scale_rope(config: Any, rope: RopeSettings, name: str) -> None:
    """Put linear scaling into a model's configuration; position p then turns as p / factor did.

    max_position_embeddings stays what the model was trained with; `context_tokens` gives the stretched context.

    Raises:
        ValueError: the model has no rotary positions, or scales them in a way of its own.
    """
    if rope.factor == 1:
        return
    parameters = getattr(config, "rope_parameters", None)
    if not parameters or "rope_type" not in parameters:
        raise ValueError(f"{name} ({config.model_type}) has no rotary positions of one kind; take rope factor 1")
    if parameters["rope_type"] != "default":
        raise ValueError(
            f"{name} scales its rotary positions already ({parameters['rope_type']}, factor "
            f"{parameters.get('factor')}); take rope factor 1, or a model without scaling"
        )
    config.rope_parameters = {**parameters, "rope_type": rope.type, "factor": rope.factor}


def context_tokens(config: Any) -> int:
    """Positions that a model reads, of its configuration or that of the whole generator.

    max_position_embeddings, times the factor of linear scaling: 4,096 x 1.5 = 6,144 for MAIRA-2's Vicuna.
    """
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or {}
    factor = float(rope.get("factor") or 1) if rope.get("rope_type") == "linear" else 1.0
    return int(text.max_position_embeddings * factor)


def add_embeddings(model: Any, tokenizer: Any, num_old: int) -> None:
    """Rows for the tokens that a tokenizer got since it had num_old: each the mean of the rows of those before, in the
    embedding and in the head, so that no new token is likelier than any other."""
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        with torch.random.fork_rng(devices=[]):  # the rows it draws are overwritten
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    tables = [model.get_input_embeddings().weight, model.get_output_embeddings().weight]
    with torch.no_grad():
        for table_VD in tables[:1] if tables[0] is tables[1] else tables:
            table_VD[num_old : len(tokenizer)] = table_VD[:num_old].mean(dim=0)


def refuse_misfits(report: dict[str, Any], name: str | Path) -> None:
    """Turn transformers' loading report into an error: it draws what is missing at random, with a warning.

    Raises:
        ValueError: tensors missing, left over or of another shape; counts, and the first of each.
    """
    faults = []
    for kind in ("missing", "unexpected", "mismatched"):
        found = report[f"{kind}_keys"]
        names = sorted(str(entry) if isinstance(entry, str) else str(entry[0]) for entry in found)
        if names:
            faults.append(f"{len(names)} {kind}: {first_names(names)}")
    faults += [str(message) for message in report.get("error_msgs") or ()]
    if faults:
        raise ValueError(f"{name}: its tensors do not fit its config.json: {'; '.join(faults)}")


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' bars and load report: what does not fit is an error here."""
    level, bar = _transformers_logging.get_verbosity(), _transformers_logging.is_progress_bar_enabled()
    _transformers_logging.set_verbosity_error()
    _transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        _transformers_logging.set_verbosity(level)
        if bar:
            _transformers_logging.enable_progress_bar()


def _address(path: str) -> tuple[str, str]:
    """What transformers' from_pretrained takes: a folder, or a repository and its commit."""
    address = parse_address(path, Source(url="the hub", file="config.json"), None)
    if address is not None:
        download(address)  # tells in plain words of a gated repository or of no network
        return address.hub_id, address.revision
    if not Path(path).is_dir():
        raise ValueError(f"no language model at {path}: give a folder with its config.json, or org/name@commit")
    if not (Path(path) / "config.json").is_file():
        raise ValueError(f"{path} has no config.json: a language model in Hugging Face's layout is a folder with one")
    return path, "main"


def _read(name: str, read: Any) -> Any:
    """The answer of transformers, or a ValueError in plain words."""
    try:
        return read()
    except Exception as error:  # OSError, ValueError, KeyError, safetensors' own, pickle's own, ...
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{name} cannot be loaded as a language model ({type(error).__name__}: {first}); "
            "a file of it is missing or damaged: copy or download it again"
        ) from None


@torch.no_grad()
def _refuse_more_than_a_linear_head(model: Any, name: str) -> None:
    """Llava's classes put a plain matrix after the last layer: soft caps, scales and biases would be lost."""
    head = model.get_output_embeddings()
    ids = torch.arange(4, device=model.device)[None]
    hidden = model.base_model(input_ids=ids, use_cache=False)[0]
    logits = model(input_ids=ids, use_cache=False).logits
    if not torch.isfinite(logits).all():
        raise ValueError(f"{name} gives values that are not finite: its weights are damaged; copy or download it again")
    bare = isinstance(head, nn.Linear) and head.bias is None
    if not bare or not torch.allclose(nn.functional.linear(hidden, head.weight).float(), logits.float(), atol=1e-4):
        raise ValueError(
            f"{name} ({model.config.model_type}) makes its logits by more than a matrix (a bias, a scale or a cap), "
            "which the Llava classes cannot express; take another language model"
        )
