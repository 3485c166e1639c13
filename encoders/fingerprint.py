"""Says which encoder made some features: a hash of all that changes them, and a probe that another copy can repeat.

Shape letters: B batch, C channels, H rows, W columns, N patch tokens, D width.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from encoders.contract import Encoder


class Kind(StrEnum):
    """What the weights are."""

    PUBLISHED = "published weights"  # a file in a published layout: as published, or trained on
    OWN = "own model"
    TWIN = "random twin"  # features that mean nothing


@dataclass(frozen=True)
class Origin:
    """Where an encoder's weights are from.

    weights: the file's name, "org/name@commit:file" of the hub, or "twin" / "tiny"; file_sha256: None of a twin;
    inside: the dictionaries of the file that were opened ("teacher"), "" for none; layout: the naming it was in;
    model_sha256: of an own model, its description: what the weights alone do not tell (heads, pooling, activation).
    """

    kind: Kind
    weights: str
    file_sha256: str | None = None
    inside: str = ""
    layout: str | None = None
    model_sha256: str | None = None


@dataclass(frozen=True)
class Probe:
    """Features of one made image: the global vector's first values and length, the tokens' mean and deviation."""

    global_first: tuple[float, ...]
    global_norm: float
    tokens_mean: float
    tokens_std: float


class Fingerprint(BaseModel):
    """Which encoder this is.

    weights_sha256: of the encoder's own tensors, so one for all published layouts of the same weights;
    key: of name, size, pooling, weights and preprocessing, what caches of features go by.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str
    image_size_px: int
    pooling: str
    preprocessing_sha256: str
    weights_sha256: str
    origin: Origin
    key: str
    probe: Probe | None

    @property
    def note(self) -> str | None:
        """What anyone who uses these features must be told, or None."""
        if self.origin.kind is Kind.TWIN:
            return f"{self.encoder} has random weights ({self.origin.weights}): its features mean nothing"
        return None


def set_origin(encoder: Encoder, origin: Origin) -> None:
    """Note where an encoder's weights are from; copies of the encoder keep the note."""
    vars(encoder)["origin"] = origin


def origin_of(encoder: Encoder) -> Origin:
    """Where an encoder's weights are from.

    Raises:
        ValueError: it was not loaded by `load_encoder`.
    """
    origin = vars(encoder).get("origin")
    if not isinstance(origin, Origin):
        raise ValueError(f"{encoder.spec.name} was not loaded by load_encoder: where its weights are from is not known")
    return origin


def fingerprint(encoder: Encoder, *, probe: bool = True) -> Fingerprint:
    """The fingerprint of an encoder as it is now: the weights are hashed at each call, so training changes it.

    Args:
        probe: run the made image through it, on its device and in its dtype (one forward pass).

    Raises:
        ValueError: an encoder that `load_encoder` did not load.
    """
    origin = origin_of(encoder)
    weights = weights_sha256(encoder)
    size, pooling, recipe = encoder.image_size_px, encoder.pooling.value, encoder.recipe.sha256
    parts = [encoder.spec.name, size, pooling, weights, recipe, origin.model_sha256]
    return Fingerprint(
        encoder=encoder.spec.name,
        image_size_px=size,
        pooling=pooling,
        preprocessing_sha256=recipe,
        weights_sha256=weights,
        origin=origin,
        key=hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
        probe=probe_features(encoder) if probe else None,
    )


def weights_sha256(encoder: Encoder) -> str:
    """SHA-256 over the state dict in the order of its names: name, kind, shape and values, floats as float32.

    Half precision thus hashes as the float32 it stands for, wherever it is.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        value = tensor.detach().cpu()
        value = value.float() if value.is_floating_point() else value
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().view(-1).numpy())
    return digest.hexdigest()


@torch.inference_mode()
def probe_features(encoder: Encoder) -> Probe:
    """The probe of an encoder, in evaluation mode whatever mode it is in."""
    was_training = [part for part in encoder.modules() if part.training]
    encoder.eval()
    try:
        weight = next(encoder.parameters())
        features = encoder.encode(probe_image(encoder.image_size_px).to(weight.device), layers=())
    finally:
        for part in was_training:
            part.training = True
    global_D, tokens_ND = features.global_BD[0].float().cpu(), features.tokens_BND[0].float().cpu()
    return Probe(tuple(global_D[:8].tolist()), global_D.norm().item(), tokens_ND.mean().item(), tokens_ND.std().item())


def probe_image(image_size_px: int) -> Tensor:
    """1,3,H,W pixels in -1..1 made of integers: two ramps and their product, modulo 256, another shift a channel."""
    row_H1, column_1W = torch.arange(image_size_px).view(-1, 1), torch.arange(image_size_px).view(1, -1)
    channels = [(3 * row_H1 + 2 * column_1W + row_H1 * column_1W // 64 + 85 * shift) % 256 for shift in range(3)]
    return (torch.stack(channels).float() / 127.5 - 1).unsqueeze(0)


def same_features(a: Fingerprint, b: Fingerprint, *, rtol: float = 1e-3) -> bool:
    """Whether two encoders gave the made image the same features, up to `rtol` of the features' size.

    Other devices, dtypes and versions of torch round differently; other weights or code differ by far more.

    Raises:
        ValueError: a fingerprint was made without its probe.
    """
    if a.probe is None or b.probe is None:
        raise ValueError("a fingerprint without its probe cannot be compared by features")
    if a.image_size_px != b.image_size_px or len(a.probe.global_first) != len(b.probe.global_first):
        return False
    first_a, first_b = torch.tensor(a.probe.global_first), torch.tensor(b.probe.global_first)
    differences = [
        ((first_a - first_b).abs().max() / first_a.abs().max()).item(),
        abs(a.probe.global_norm - b.probe.global_norm) / a.probe.global_norm,
        abs(a.probe.tokens_mean - b.probe.tokens_mean) / a.probe.tokens_std,
        abs(a.probe.tokens_std - b.probe.tokens_std) / a.probe.tokens_std,
    ]
    return all(difference <= rtol for difference in differences)
