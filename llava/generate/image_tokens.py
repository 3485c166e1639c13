"""Encoder and projector of a checkpoint without its language model: films in, what the language model reads out.

Shape letters: I images, H rows, W columns, N image tokens of one image, D width of the language model.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from encoders.preprocessing.intensity import Levels
from llava.encoder_record import record_of, refuse_another
from llava.generate.settings import Place
from llava.model import CxrLlavaConfig
from llava.model_files import read_encoder_record
from llava.pixels import pixels
from llava.projector import MlpProjector
from llava.vision import encoder_of, tokens_of

logger = logging.getLogger(__name__)

_TOWER, _PROJECTOR = "model.vision_tower.encoder.", "model.multi_modal_projector."
_FILMS_AT_ONCE = 32


class ImageTokens:
    """The same code, in the same precision, as `CxrLlavaModel.get_image_features`.

    Raises:
        ValueError: tensors are missing or left over, or the encoder is not that of encoder.json.
    """

    def __init__(self, folder: Path, place: Place) -> None:
        self._device = torch.device(place.device)
        config: CxrLlavaConfig = CxrLlavaConfig.from_pretrained(folder)
        vision = config.vision
        tower, projector = _parts(folder)
        encoder = encoder_of(vision, tower)
        expected = read_encoder_record(folder)
        refuse_another(folder / "encoder.json", expected, record_of(encoder, vision, whole=False))
        if expected.fingerprint.note is not None:
            logger.warning("%s: %s", folder, expected.fingerprint.note)
        dtype = getattr(torch, place.dtype)
        self._layers, self._norm = vision.layers, vision.norm
        self._recipe = encoder.recipe
        self._encoder = encoder.to(self._device, dtype)
        text = config.get_text_config()
        self._projector = MlpProjector(
            vision.hidden_size, text.hidden_size, config.projector_num_layers, config.multimodal_projector_bias
        )
        self._projector.load_state_dict(projector)
        self._projector.to(self._device, dtype)

    @torch.inference_mode()
    def of(self, images: Sequence[Levels]) -> list[Tensor]:
        """N,D of each film (levels H,W), on the CPU."""
        found: list[Tensor] = []
        for begin in range(0, len(images), _FILMS_AT_ONCE):
            films = pixels(images[begin : begin + _FILMS_AT_ONCE], self._recipe, self._device)
            tokens_IND = self._projector(tokens_of(self._encoder, films, self._layers, self._norm))
            found += [tokens_ND.clone() for tokens_ND in tokens_IND.cpu()]  # a view would hold all of the batch
        return found


def _parts(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tensors of encoder and projector by their names there, floats as float32."""
    tower: dict[str, Tensor] = {}
    projector: dict[str, Tensor] = {}
    for shard in sorted(folder.glob("*.safetensors")):
        with safe_open(shard, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118  # no mapping
                for prefix, part in ((_TOWER, tower), (_PROJECTOR, projector)):
                    if name.startswith(prefix):
                        tensor = opened.get_tensor(name)
                        part[name.removeprefix(prefix)] = tensor.float() if tensor.is_floating_point() else tensor
    return tower, projector
