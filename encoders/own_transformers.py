"""A vision transformer of the transformers library under the encoder's contract, from a local configuration.

Shape letters: B batch, H rows, W columns, N patch tokens, T patch and other tokens, D width.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from encoders.checkpoint import first_names
from encoders.contract import Encoder, FeatureMap, Features, Norm, Pooling, tokens_to_map

if TYPE_CHECKING:
    from encoders.own_models import ModelSettings
    from encoders.spec import EncoderSpec


class _Family(NamedTuple):
    """final_norm: the attribute that holds the last LayerNorm; asks: whether it resamples its position embeddings to
    another image size only when it is asked to."""

    final_norm: str
    asks: bool


_FAMILIES = {  # by the model_type of the vision configuration; those whose hidden states are the blocks' raw outputs
    "clip_vision_model": _Family("post_layernorm", True),
    "dinov2": _Family("layernorm", False),
    "dinov2_with_registers": _Family("layernorm", False),
    "siglip_vision_model": _Family("post_layernorm", True),
    "vit": _Family("layernorm", True),
}


class TransformersEncoder(Encoder):
    """A transformers vision tower.

    tokens: the patch tokens after the final norm; global: the class token after it ("cls"), the mean of those patch
    tokens ("mean"), or SigLIP's attention pooling of them ("attention"); layers: the blocks' raw outputs.
    """

    def __init__(
        self, spec: EncoderSpec, settings: ModelSettings, image_size_px: int, read: dict[str, Any] | None = None
    ) -> None:
        """read: what `read_config` gave of the model's folder; None reads it now.

        Raises:
            ValueError: a configuration of no known family, patches that do not tile the image, a pooling or a stride
                that the model does not have.
        """
        super().__init__()
        config = _vision_config(Path(settings.model), read)
        patch_px: int = config.patch_size
        rows, rest = divmod(image_size_px, patch_px)
        if rest or not rows:
            raise ValueError(f"{spec.name} has patches of {patch_px} px, which do not tile {image_size_px} px")
        if settings.stride_px not in (None, patch_px):
            raise ValueError(f"{spec.name} has no map of stride {settings.stride_px} px; it has {patch_px}")
        self.spec = spec
        self.image_size_px = image_size_px
        self.pooling = Pooling(settings.pooling)
        self.model: Any = _from_config(config, settings)
        family = _FAMILIES[config.model_type]
        self._resampling = (
            {"interpolate_pos_encoding": True} if family.asks and image_size_px != config.image_size else {}
        )
        self._final_norm_name = family.final_norm
        self.num_layers = config.num_hidden_layers
        self.global_width = self.token_width = config.hidden_size
        self.token_grid = (rows, rows)
        self.default_stride_px = patch_px
        self.grids = {patch_px: self.token_grid}
        self.widths = {patch_px: config.hidden_size}
        has = {"cls": "siglip" not in config.model_type, "mean": True, "attention": hasattr(self._tower, "head")}
        if not has[settings.pooling]:
            able = ", ".join(name for name, possible in has.items() if possible)
            raise ValueError(f"{spec.name} ({config.model_type}) has no {settings.pooling!r} pooling; it has {able}")

    @property
    def _tower(self) -> Any:
        return getattr(self.model, "vision_model", self.model)  # some releases wrap it once more

    def _encode(self, pixels_BCHW: Tensor, layers: tuple[int, ...]) -> Features:
        output = self.model(pixel_values=pixels_BCHW, output_hidden_states=True, **self._resampling)
        raw = output.hidden_states[1:]  # the first is the patch embedding
        final_norm = getattr(self._tower, self._final_norm_name)
        normed_BTD = final_norm(raw[-1])
        tokens_BND = normed_BTD[:, -self.num_tokens :]  # class and register tokens come first
        if self.pooling is Pooling.CLS:
            global_BD = normed_BTD[:, 0]
        elif self.pooling is Pooling.MEAN:
            global_BD = tokens_BND.mean(dim=1)
        else:
            global_BD = self._tower.head(normed_BTD)
        return Features(
            global_BD=global_BD,
            pooling=self.pooling,
            tokens_BND=tokens_BND,
            tokens_norm=Norm.FINAL,
            default_stride_px=self.default_stride_px,
            maps={self.default_stride_px: self._map(tokens_BND, self.num_layers - 1, Norm.FINAL)},
            kept={layer: self._map(raw[layer][:, -self.num_tokens :], layer, Norm.NONE) for layer in layers},
            num_layers=self.num_layers,
            final_norm=final_norm,
        )

    def _map(self, tokens_BND: Tensor, layer: int, norm: Norm) -> FeatureMap:
        return FeatureMap(tokens_to_map(tokens_BND, self.token_grid), layer, self.default_stride_px, norm)


def read_config(folder: Path) -> dict[str, Any]:
    """A model folder's config.json, its vision half where it has two.

    Raises:
        ValueError: none, not JSON, or of a model that is not known here (and none is run from the folder's own code).
    """
    path = folder / "config.json" if folder.is_dir() else folder
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        config: dict[str, Any] = read.get("vision_config") or read
        model_type = config.get("model_type") or f"{read.get('model_type')}_vision_model"
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"no transformers configuration at {path}: {error}") from None
    if model_type not in _FAMILIES:
        raise ValueError(f"{path} is of type {model_type!r}; known: {', '.join(_FAMILIES)}. No code of a folder is run")
    return {**config, "model_type": model_type}


def in_memory_names(settings: ModelSettings, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint under the names that the installed transformers uses, which differ from those on disk.

    Raises:
        ValueError: tensors missing, unexpected or of another shape.
    """
    config = _vision_config(Path(settings.model))
    with torch.device("meta"):
        model_class: Any = type(_from_config(config, settings))
    with _quiet():
        model, report = model_class.from_pretrained(
            None,
            config=config,
            state_dict=tensors,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are in the report, which has to be empty
            dtype=torch.float32,
            **settings.model_args,
        )
    faults = []
    for kind in ("missing", "unexpected", "mismatched"):
        names = sorted(str(entry) if kind != "mismatched" else str(entry[0]) for entry in report[f"{kind}_keys"])
        if names:
            faults.append(f"{len(names)} {kind}: {first_names(names)}")
    if faults:
        raise ValueError(f"tensors do not fit {model_class.__name__}: {'; '.join(faults)}")
    state: dict[str, Tensor] = model.state_dict()
    return state


def _vision_config(folder: Path, read: dict[str, Any] | None = None) -> Any:
    from transformers import AutoConfig

    config = AutoConfig.for_model(**(read_config(folder) if read is None else read))
    if not isinstance(config.image_size, int) or not isinstance(config.patch_size, int):
        raise ValueError(f"{folder}: image_size {config.image_size} and patch_size {config.patch_size} are no squares")
    return config


def _from_config(config: Any, settings: ModelSettings) -> Any:
    from encoders.torchvision_shim import import_torchvision

    import_torchvision()
    from transformers import AutoModel

    auto: Any = AutoModel  # its methods have no types
    try:
        return auto.from_config(config, dtype=torch.float32, **settings.model_args)
    except TypeError as error:
        raise ValueError(f"transformers takes no model_args {settings.model_args}: {error}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bar and load report: what does not fit is an error here."""
    from transformers.utils import logging as typeless

    logging: Any = typeless
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
