"""encoder.json: which encoder a checkpoint holds, and what a language model reads of a made film through it.

Shape letters: N image tokens, D width.
"""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from encoders.contract import Encoder
from encoders.fingerprint import Fingerprint, fingerprint, probe_image
from llava.vision import CxrVisionConfig, tokens_of


class TokenProbe(BaseModel):
    """Tokens of the made film as the language model reads them: the first token's first values, and of all of them the
    mean and standard deviation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: tuple[float, ...]
    mean: float
    std: float

    def near(self, other: TokenProbe, *, rtol: float = 1e-3) -> bool:
        """Whether two are of the same tokens, up to what other devices and versions of torch round differently."""
        if len(self.first) != len(other.first):
            return False
        pairs = [*zip(self.first, other.first, strict=True), (self.mean, other.mean), (self.std, other.std)]
        size = max(self.std, abs(self.mean))
        return all(abs(a - b) <= rtol * size for a, b in pairs)


class EncoderRecord(BaseModel):
    """encoder.json: which encoder a checkpoint holds, as it is now. began_as: the key it had before any training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: Fingerprint
    began_as: str | None
    layers: tuple[int, ...] | None
    norm: str | None
    num_tokens: int
    token_width: int
    tokens: TokenProbe


def record_of(encoder: Encoder, vision: CxrVisionConfig, *, whole: bool = True) -> EncoderRecord:
    """An encoder as it is now, and what its tokens are.

    Args:
        whole: with the encoder's own probe too, which takes another pass.
    """
    with torch.no_grad():
        tokens_1ND = tokens_of(encoder, probe_image(encoder.image_size_px), vision.layers, vision.norm)
    _, num_tokens, width = tokens_1ND.shape
    return EncoderRecord(
        fingerprint=fingerprint(encoder, probe=whole),
        began_as=vision.began_as,
        layers=None if vision.layers is None else tuple(vision.layers),
        norm=vision.norm,
        num_tokens=num_tokens,
        token_width=width,
        tokens=TokenProbe(
            first=tuple(tokens_1ND[0, 0, :8].tolist()), mean=tokens_1ND.mean().item(), std=tokens_1ND.std().item()
        ),
    )


def refuse_another(file: Path, expected: EncoderRecord, found: EncoderRecord) -> None:
    """Compare what a checkpoint's file says of its encoder with the encoder that is there.

    Raises:
        ValueError: weights, preprocessing, layers or features differ; the message names the file, what was expected and
            what was found.
    """
    pairs = {
        "encoder": (expected.fingerprint.encoder, found.fingerprint.encoder),
        "image_size_px": (expected.fingerprint.image_size_px, found.fingerprint.image_size_px),
        "weights_sha256": (expected.fingerprint.weights_sha256, found.fingerprint.weights_sha256),
        "preprocessing_sha256": (expected.fingerprint.preprocessing_sha256, found.fingerprint.preprocessing_sha256),
        "layers": (expected.layers, found.layers),
        "norm": (expected.norm, found.norm),
        "num_tokens": (expected.num_tokens, found.num_tokens),
        "token_width": (expected.token_width, found.token_width),
        "key": (expected.fingerprint.key, found.fingerprint.key),
        "began_as": (expected.began_as, found.began_as),
    }
    for name, (wanted, given) in pairs.items():
        if wanted != given:
            raise ValueError(
                f"{file} says {name} {wanted}, and the encoder in this folder has {given}: it is not the encoder "
                "that the model was trained with"
            )
    if not expected.tokens.near(found.tokens):
        raise ValueError(
            f"{file}: the encoder's tokens of the made film begin {_shown(expected.tokens)}, and here they begin "
            f"{_shown(found.tokens)}, from the same weights: the encoder's code or a library differs"
        )


def _shown(probe: TokenProbe) -> str:
    return ", ".join(f"{value:.5g}" for value in probe.first[:3])
