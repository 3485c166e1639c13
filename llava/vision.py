"""Any encoder of `encoders/` as the vision half of a transformers checkpoint, rebuilt from its configuration alone.

A tower is never looked up by its name at loading: architecture, preprocessing and origin stand in the configuration,
and the weights come from the checkpoint itself, trained or not.

Shape letters: I images, C channels, H rows, W columns, N image tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from encoders.contract import Encoder, map_to_tokens
from encoders.fingerprint import Kind, Origin, fingerprint, origin_of, probe_image, set_origin
from encoders.own_models import Description, own_spec
from encoders.placing import build_empty, compute_buffers, place_strictly
from encoders.preprocessing.recipe import Recipe
from encoders.registry import encoder_spec
from encoders.spec import EncoderSpec
from encoders.torchvision_shim import import_torchvision

import_torchvision()  # transformers imports it with its image processors
from transformers import PreTrainedConfig, PreTrainedModel  # noqa: E402


class CxrVisionConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """What an encoder is built from, and what its tokens are.

    encoder: its name in the registry, or its own model's. size: "tiny" for the registry's tiny twins. own_model: of an
    own model, `encoders.own_models.Description` as a dict; None of a published one. recipe: its preprocessing,
    `Recipe` as a dict. layers, norm: as `llava.config.EncoderSettings`. hidden_size: width of a token, over all
    `layers` where they are joined. num_tokens: of one image. origin: `encoders.fingerprint.Origin` as a dict, where
    the weights began; began_as: `Fingerprint.key` of that beginning.
    """

    model_type = "cxr_vision"
    base_config_key = "vision_config"

    encoder: str = "rad_dino"
    size: str = "full"
    image_size_px: int = 518
    own_model: dict[str, Any] | None = None
    recipe: dict[str, Any] | None = None
    layers: list[int] | None = None
    norm: str | None = None
    hidden_size: int = 768
    num_tokens: int = 1369
    origin: dict[str, Any] | None = None
    began_as: str | None = None


class CxrVisionTower(PreTrainedModel):  # type: ignore[no-untyped-call]
    """An encoder that gives the tokens a language model reads.

    A frozen one (no parameter asks for a gradient) stays in evaluation mode, and autograd records nothing of it.
    """

    config: CxrVisionConfig
    config_class = CxrVisionConfig
    main_input_name = "pixel_values"
    input_modalities = ["image"]  # noqa: RUF012  # transformers' own attribute
    supports_gradient_checkpointing = True
    # An encoder attends in its own way, whatever a language model is told to.
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = _supports_attention_backend = True

    def __init__(self, config: CxrVisionConfig) -> None:
        """Under `torch.device("meta")` (transformers' loading) parameters have no memory, the rest is computed."""
        super().__init__(config)
        self.gradient_checkpointing = False
        on_meta = torch.empty(0).is_meta
        with torch.device("cpu"):
            # transformers sets the default dtype to the one that is asked for, and means all weights and buffers
            self.encoder = _build(config, on_meta=on_meta).to(torch.get_default_dtype())
        # It loses buffers that no checkpoint holds, wherever they were built: these are put back.
        self._computed = {name: tensor.clone() for name, tensor in _computed_buffers(self.encoder)}
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Tokens I,N,D of normalised pixels I,3,H,W, in the weights' dtype, whatever other inputs the model has."""
        trains = any(parameter.requires_grad for parameter in self.encoder.parameters())
        if self.gradient_checkpointing and trains and torch.is_grad_enabled():
            # film by film: then one film's activations are in memory in the backward pass
            films = [checkpoint(self._tokens, film, use_reentrant=False) for film in pixel_values.unsqueeze(1)]
            return torch.cat(films)
        return self._tokens(pixel_values)

    def _tokens(self, pixels_ICHW: Tensor) -> Tensor:
        return tokens_of(self.encoder, pixels_ICHW, self.config.layers, self.config.norm)

    def train(self, mode: bool = True) -> CxrVisionTower:
        """Frozen, it stays in evaluation mode: no drop path, no changing statistics."""
        trains = any(parameter.requires_grad for parameter in self.parameters())
        super().train(mode and trains)
        return self

    def _initialize_weights(self, module: nn.Module, *_: Any, **__: Any) -> None:
        """Called by transformers of every part, last of the tower itself. Weights are loaded or the encoder's own; what
        no checkpoint holds is put back."""
        if module is not self:
            return
        with torch.no_grad():
            for name, buffer in _computed_buffers(self.encoder):
                buffer.copy_(self._computed[name])

    def get_input_embeddings(self) -> nn.Module:
        """The encoder: it has no table of embeddings, and transformers asks for something whose output has a graph."""
        return self.encoder


def tokens_of(encoder: Encoder, pixels_ICHW: Tensor, layers: list[int] | None, norm: str | None) -> Tensor:
    """Tokens I,N,D: the contract's own, or those of `layers`, each normed as `norm` says, joined along their width.

    Raises:
        ValueError: layers of different grids, which have no tokens in common, or of a norm that they cannot have.
    """
    if layers is None:
        return encoder.encode(pixels_ICHW, layers=()).tokens_BND
    maps = [one.map_BCHW for one in encoder.encode(pixels_ICHW, layers=layers).layers(layers, norm=norm)]
    grids = sorted({tuple(one.shape[2:]) for one in maps})
    if len(grids) > 1:
        shown = ", ".join(f"{rows} x {columns}" for rows, columns in grids)
        raise ValueError(
            f"{encoder.spec.name}: layers {layers} have grids of {shown}; only those of one grid can be joined"
        )
    return torch.cat([map_to_tokens(one) for one in maps], dim=-1)


def vision_config(
    encoder: Encoder,
    *,
    size: str,
    own_model: Description | None = None,
    layers: tuple[int, ...] | None = None,
    norm: str | None = None,
) -> CxrVisionConfig:
    """The configuration of an encoder that `load_encoder` gave; of `layers`, one film is encoded to see what they give.

    Raises:
        ValueError: layers that the encoder does not have, or that cannot be joined.
    """
    wanted = None if layers is None else list(layers)
    num_tokens, width = encoder.num_tokens, encoder.token_width
    if wanted is not None:
        with torch.no_grad():
            _, num_tokens, width = tokens_of(encoder, probe_image(encoder.image_size_px), wanted, norm).shape
    return CxrVisionConfig(
        encoder=encoder.spec.name,
        size=size,
        image_size_px=encoder.image_size_px,
        own_model=None if own_model is None else own_model._asdict(),
        recipe=encoder.recipe.model_dump(mode="json"),
        layers=wanted,
        norm=norm,
        hidden_size=width,
        num_tokens=num_tokens,
        origin=asdict(origin_of(encoder)),
        began_as=fingerprint(encoder, probe=False).key,
    )


def encoder_of(config: CxrVisionConfig, state: dict[str, Tensor]) -> Encoder:
    """An encoder of a checkpoint, alone: float32 on the CPU, in evaluation mode.

    Args:
        state: its tensors by their names in the encoder; emptied on the way.

    Raises:
        ValueError: tensors missing, left over, of another shape, or not finite.
    """
    spec = _spec(config)
    encoder = build_empty(lambda: spec.build(spec, _size(config), config.image_size_px))
    place_strictly(encoder, state, f"the encoder ({config.encoder}) of this checkpoint")
    _describe(encoder, config)
    return encoder.eval()


def _build(config: CxrVisionConfig, *, on_meta: bool) -> Encoder:
    spec = _spec(config)
    with _float32():  # positions counted in bfloat16 would be wrong from 257 on
        if not on_meta:
            encoder = spec.build(spec, _size(config), config.image_size_px)
        else:
            encoder = build_empty(lambda: spec.build(spec, _size(config), config.image_size_px))
            _move_parameters(encoder, "cpu")  # some buffers are computed beside a weight with memory, whatever is in it
            compute_buffers(encoder)
            _move_parameters(encoder, "meta")
    _describe(encoder, config)
    return encoder


@contextmanager
def _float32() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _move_parameters(module: nn.Module, device: str) -> None:
    """Parameters, and not buffers, to memory without values or to none."""
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            empty = torch.empty_like(parameter, device=device)
            part.register_parameter(name, nn.Parameter(empty, requires_grad=parameter.requires_grad))


def _spec(config: CxrVisionConfig) -> EncoderSpec:
    if config.own_model is None:
        return encoder_spec(config.encoder)
    return own_spec(Description(**config.own_model))


def _size(config: CxrVisionConfig) -> Any:
    if config.size not in ("full", "tiny"):
        raise ValueError(f"vision_config.size is {config.size!r}; it is 'full' or 'tiny'")
    return config.size


def _describe(encoder: Encoder, config: CxrVisionConfig) -> None:
    """Preprocessing and origin, where the configuration has them (a bare one is of an encoder of no known weights)."""
    if config.recipe is not None:
        encoder.recipe = Recipe.model_validate(config.recipe)
    if config.origin is not None:
        kind = Kind(config.origin["kind"])
        set_origin(encoder, Origin(**{**config.origin, "kind": kind}))


def _computed_buffers(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Buffers that are computed and so not part of a checkpoint."""
    saved: Mapping[str, Tensor] = module.state_dict()
    return [(name, tensor) for name, tensor in module.named_buffers() if name not in saved]
