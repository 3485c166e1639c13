"""Any encoder in one line: `load_encoder("rad_dino", weights="model.safetensors")`."""

from __future__ import annotations

import importlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from encoders.checkpoint import Checkpoint
    from encoders.contract import Encoder
    from encoders.fingerprint import Origin
    from encoders.preprocessing.recipe import Recipe
    from encoders.spec import EncoderSpec, Layout, Size

logger = logging.getLogger(__name__)

NAMES = (
    "rad_dino",
    "dinov2",
    "medimageinsight",
    "ark_plus",
    "biomedclip",
    "chexagent",
    "medsiglip",
    "siglip2",
    "segformer",
)
_SIZES: dict[str, Size] = {"twin": "full", "tiny": "tiny"}


def known_encoders() -> tuple[EncoderSpec, ...]:
    """All published encoders, always in the same order; no weight is read and no model library imported."""
    return tuple(encoder_spec(name) for name in NAMES)


def encoder_spec(name: str) -> EncoderSpec:
    """What is known of a published encoder.

    Raises:
        ValueError: no such encoder; the message lists those there are.
    """
    if name not in NAMES:
        raise ValueError(f"no encoder {name!r}; known: {', '.join(NAMES)}, or the path of a .toml file of your own")
    spec: EncoderSpec = importlib.import_module(f"encoders.families.{name}").SPEC
    return spec


def load_encoder(
    name: str,
    *,
    weights: str | Path,
    image_size_px: int | None = None,
    accept_licence: bool = False,
    revision: str | None = None,
    preprocessing: str | Path | None = None,
) -> Encoder:
    """An encoder in evaluation mode, float32 on the CPU, its weights loaded strictly, its preprocessing in `recipe`.

    Args:
        name: a published encoder's name, or the path of a TOML file that describes one's own (`encoders.own_models`).
        weights: a checkpoint, or a folder with one, in a published layout; "hub", or "org/name@commit[:file]", for
            the hub; "twin" for random weights of the full size, "tiny" for random weights of a small width with the
            same grids, which are for trying things out: their features mean nothing.
        image_size_px: side of the input; the published one by default. Position embeddings are resampled.
        accept_licence: the user agrees to terms that bind beyond attribution.
        revision: commit on the hub, 40 hexadecimal digits, where the encoder's own pin is not to be taken.
        preprocessing: another recipe's name or TOML file, in place of the encoder's own.

    Raises:
        ValueError: an unknown name, a file in no known layout or not complete to the tensor, a licence not accepted,
            a size that cannot be.
    """
    from encoders.fingerprint import set_origin

    spec, recipe, model_sha256 = _described(name, preprocessing)
    size_px = spec.image_size_px if image_size_px is None else image_size_px
    if size_px < 1:
        raise ValueError(f"image_size_px is {size_px}, not positive")
    if str(weights) in _SIZES:
        if revision is not None:
            raise ValueError(f"revision {revision!r} is for weights on the hub; weights are {str(weights)!r}")
        encoder, origin = _twin(spec, str(weights), size_px)
    else:
        encoder, origin = _trained(spec, str(weights), size_px, accept_licence, revision)
    encoder.recipe = recipe.at(size_px)
    set_origin(encoder, replace(origin, model_sha256=model_sha256))
    return encoder.eval()


def _described(name: str, preprocessing: str | Path | None) -> tuple[EncoderSpec, Recipe, str | None]:
    """A spec, its preprocessing, and of an own model the hash of its description."""
    from encoders.preprocessing.recipe import load_recipe

    if name.endswith(".toml"):
        from encoders.own_models import load_own_model

        spec, recipe, model_sha256 = load_own_model(Path(name))
        return spec, recipe if preprocessing is None else load_recipe(preprocessing), model_sha256
    return encoder_spec(name), load_recipe(name if preprocessing is None else preprocessing), None


def _twin(spec: EncoderSpec, kind: str, image_size_px: int) -> tuple[Encoder, Origin]:
    from encoders.fingerprint import Kind, Origin
    from encoders.placing import build_empty, place_strictly
    from encoders.twins import random_state

    encoder = build_empty(lambda: spec.build(spec, _SIZES[kind], image_size_px))
    place_strictly(encoder, random_state(encoder, spec.name), f"the random twin of {spec.name}")
    logger.warning("%s: random weights (%s), so its features mean nothing", spec.name, kind)
    return encoder, Origin(Kind.TWIN, kind)


def _trained(
    spec: EncoderSpec, weights: str, image_size_px: int, accept_licence: bool, revision: str | None
) -> tuple[Encoder, Origin]:
    from encoders.checkpoint import file_sha256, read_checkpoint
    from encoders.fingerprint import Kind, Origin
    from encoders.hub import download, parse_address
    from encoders.licences import require_accepted
    from encoders.placing import build_empty, place_strictly

    require_accepted(spec, accept_licence)
    address = parse_address(weights, spec.source, revision)
    if address is None and not Path(weights).exists():
        raise ValueError(f"no weights at {weights}; {spec.name} is published at {spec.source.url} ({spec.source.file})")
    checkpoint = read_checkpoint(download(address) if address else weights, prefer=spec.source.file)
    layout = _layout(spec, checkpoint)
    try:
        state = layout.translate(checkpoint.tensors)
    except ValueError as error:
        raise ValueError(f"{checkpoint.path.name} ({layout.name}): {error}") from None
    encoder = build_empty(lambda: spec.build(spec, "full", image_size_px))
    place_strictly(encoder, encoder.adapt_state(state), f"{checkpoint.path.name} ({layout.name})")
    return encoder, Origin(
        Kind.PUBLISHED if spec.name in NAMES else Kind.OWN,
        str(address) if address else checkpoint.path.name,
        file_sha256=file_sha256(checkpoint.path),
        inside=checkpoint.inside,
        layout=layout.name,
    )


def _layout(spec: EncoderSpec, checkpoint: Checkpoint) -> Layout:
    """The one layout that a checkpoint is in."""
    found = [layout for layout in spec.layouts if layout.matches(checkpoint.tensors)]
    if len(found) == 1:
        return found[0]
    seen = ", ".join(sorted(checkpoint.tensors)[:5])
    known = "; ".join(layout.name for layout in spec.layouts)
    matched = f"in {len(found)} layouts at once" if found else "in no layout"
    raise ValueError(
        f"{checkpoint.path.name} is {matched} known of {spec.name}: its {len(checkpoint.tensors)} tensors begin with "
        f"{seen}; known layouts: {known}"
    )
