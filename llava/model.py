"""The report generator: an encoder's image tokens, projected, among the tokens of a language model.

One Hugging Face checkpoint (`model_type = "cxr_llava"`) on transformers' Llava classes, whose generation, packing and
cached image features it keeps. Importing this module registers it with transformers' Auto classes.

Shape letters: I images, C channels, H rows, W columns, N image tokens of one image, B batch, T tokens, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from encoders.torchvision_shim import import_torchvision
from llava.projector import MlpProjector
from llava.vision import CxrVisionConfig, CxrVisionTower

import_torchvision()
from transformers import (  # noqa: E402
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaModel,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling  # noqa: E402
from transformers.models.llava.modeling_llava import LlavaPreTrainedModel  # noqa: E402


class CxrLlavaConfig(LlavaConfig):  # type: ignore[no-untyped-call]
    """What transformers' Llava has, its vision half being a `CxrVisionConfig`.

    projector_num_layers: linear layers of the projector. prompt_id: the prompt it was trained with. encoder_key:
    `Fingerprint.key` of the encoder it was begun with."""

    model_type = "cxr_llava"

    projector_num_layers: int = 4
    prompt_id: str | None = None
    encoder_key: str | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        given = self.vision_config
        if not isinstance(given, CxrVisionConfig):
            read = dict(given) if isinstance(given, dict) else {}
            read.pop("model_type", None)
            self.vision_config = CxrVisionConfig(**read)
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        self.image_seq_length = self.vision.num_tokens

    @property
    def vision(self) -> CxrVisionConfig:
        """vision_config, which can be nothing else here."""
        assert isinstance(self.vision_config, CxrVisionConfig)
        return self.vision_config

    @property
    def text(self) -> Any:
        """text_config: of whichever language model it is."""
        return self.text_config


class CxrLlavaModel(LlavaModel):  # type: ignore[no-untyped-call]
    """Encoder, projector and language model without its head."""

    config: CxrLlavaConfig
    config_class = CxrLlavaConfig

    def __init__(self, config: CxrLlavaConfig) -> None:
        LlavaPreTrainedModel.__init__(self, config)  # not LlavaModel's, which would look an encoder up by its type
        self.vision_tower = CxrVisionTower(config.vision)
        self.multi_modal_projector = MlpProjector(  # type: ignore[assignment]  # not Llava's of two layers
            config.vision.hidden_size,
            config.text.hidden_size,
            config.projector_num_layers,
            config.multimodal_projector_bias,
        )
        self.language_model = AutoModel.from_config(config.text)  # type: ignore[no-untyped-call]
        self.post_init()  # type: ignore[no-untyped-call]

    def get_image_features(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Projected tokens: `pooler_output` is a list of N,D, one an image; `last_hidden_state` the encoder's I,N,D.

        Args:
            pixel_values: I,3,H,W of all images of the batch, in the order of their placeholders.
        """
        tokens_IND = self.vision_tower(pixel_values)
        projected: Any = list(self.multi_modal_projector(tokens_IND))  # a list, as transformers' Llava gives it
        return BaseModelOutputWithPooling(last_hidden_state=tokens_IND, pooler_output=projected)

    def get_placeholder_mask(
        self,
        input_ids: Tensor,
        inputs_embeds: Tensor,  # noqa: ARG002  # transformers' name
        image_features: Tensor,
    ) -> Tensor:
        """B,T,1, True where image tokens go.

        Raises:
            ValueError: another number of placeholders than of image tokens.
        """
        is_image_BT: Tensor = input_ids == self.config.image_token_id
        if not torch.compiler.is_compiling():
            found, given, each = int(is_image_BT.sum()), len(image_features), self.config.vision.num_tokens
            if found != given:
                raise ValueError(
                    f"{found} placeholders in input_ids and {given} image tokens ({given / each:g} images of {each}); "
                    "they must be as many"
                )
        return is_image_BT.unsqueeze(-1)

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Any,
    ) -> Any:
        """As transformers' Llava, from `input_ids` with images, of pixels or cached, or from `inputs_embeds` alone.

        Image tokens are put in here: transformers before 5.20 does not know `mm_encoder_outputs`, and would drop them
        without a word. A prompt with placeholders and no images is refused, not read as text.

        Args:
            mm_encoder_outputs: "image": what `get_image_features` gave.

        Raises:
            ValueError: another number of placeholders than of image tokens, or pixels and cached image tokens both.
        """
        cached = (mm_encoder_outputs or {}).get("image")
        if pixel_values is not None and cached is not None:
            raise ValueError("pixel_values and cached image tokens are both given; give one of them")
        if pixel_values is None and cached is None:
            self._refuse_placeholders(input_ids)
            return super().forward(input_ids=input_ids, inputs_embeds=inputs_embeds, **kwargs)
        if input_ids is None or inputs_embeds is not None:
            raise ValueError("image tokens go where input_ids have placeholders; give no inputs_embeds with images")
        images: Any = self.get_image_features(pixel_values) if pixel_values is not None else cached
        words_BTD = self.get_input_embeddings()(input_ids)
        images_ND = torch.cat(list(images.pooler_output)).to(words_BTD)
        mask_BT1 = self.get_placeholder_mask(input_ids, words_BTD, images_ND)
        return super().forward(inputs_embeds=words_BTD.masked_scatter(mask_BT1, images_ND), **kwargs)

    def _refuse_placeholders(self, input_ids: Tensor | None) -> None:
        if input_ids is None or input_ids.shape[-1] == 1 or torch.compiler.is_compiling():  # generated ones come singly
            return
        found = int((input_ids == self.config.image_token_id).sum())
        if found:
            raise ValueError(f"{found} placeholders in input_ids, and neither pixel_values nor cached image tokens")


class CxrLlavaForConditionalGeneration(LlavaForConditionalGeneration):  # type: ignore[no-untyped-call]
    """The whole model: `model.vision_tower`, `model.multi_modal_projector`, `model.language_model`, `lm_head`."""

    config: CxrLlavaConfig
    config_class = CxrLlavaConfig

    def __init__(self, config: CxrLlavaConfig) -> None:
        LlavaPreTrainedModel.__init__(self, config)
        self.model = CxrLlavaModel(config)
        self.lm_head = nn.Linear(config.text.hidden_size, config.text.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def set_attn_implementation(self, *args: Any, **kwargs: Any) -> None:
        """Of the language model; an encoder that is itself a transformers model keeps its own."""
        inside = [part for part in self.model.vision_tower.encoder.modules() if isinstance(part, PreTrainedModel)]
        before = [part.config._attn_implementation for part in inside]
        super().set_attn_implementation(*args, **kwargs)
        for part, implementation in zip(inside, before, strict=True):
            part.config._attn_implementation = implementation


AutoConfig.register(CxrVisionConfig.model_type, CxrVisionConfig)
AutoConfig.register(CxrLlavaConfig.model_type, CxrLlavaConfig)
AutoModel.register(CxrVisionConfig, CxrVisionTower)
AutoModel.register(CxrLlavaConfig, CxrLlavaModel)
AutoModelForImageTextToText.register(CxrLlavaConfig, CxrLlavaForConditionalGeneration)
