"""Puts an encoder, a fresh projector and a language model together: what training begins with."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from encoders.own_models import describe_own_model
from encoders.registry import load_encoder
from llava.config import EncoderSettings, LanguageModelSettings, ProjectorSettings
from llava.language_model import PAD_TOKEN, add_embeddings, context_tokens, load_language_model
from llava.model import CxrLlavaConfig, CxrLlavaForConditionalGeneration
from llava.processor import CxrLlavaProcessor, add_tokens
from llava.projector import seeded_projector
from llava.vision import vision_config

__all__ = ["Built", "build", "context_tokens"]


class Built(NamedTuple):
    model: CxrLlavaForConditionalGeneration
    processor: CxrLlavaProcessor


def build(
    encoder: EncoderSettings,
    language_model: LanguageModelSettings,
    projector: ProjectorSettings,
    prompt: str,
    *,
    seed: int,
) -> Built:
    """A generator in evaluation mode, float32 on the CPU, and its processor with the whole context.

    `<image>` and `<pad>` are added to the vocabulary where it has none, a pad that is the end token counting as none.

    Args:
        prompt: a name or an id in prompts/generation.
        seed: of the projector's first weights; nothing else is drawn, and the global random state is left alone.

    Raises:
        ValueError: an encoder, a language model or a prompt that cannot be loaded or do not go together.
    """
    tower = load_encoder(
        encoder.name,
        weights=encoder.weights,
        image_size_px=encoder.image_size_px,
        accept_licence=encoder.accept_licence,
        revision=encoder.revision,
        preprocessing=encoder.preprocessing,
    )
    vision = vision_config(
        tower,
        size="tiny" if encoder.weights == "tiny" else "full",
        own_model=describe_own_model(encoder.name) if encoder.name.endswith(".toml") else None,
        layers=encoder.layers,
        norm=encoder.norm,
    )
    lm, tokenizer = load_language_model(language_model)
    num_old = len(tokenizer)
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.add_special_tokens({"pad_token": PAD_TOKEN})
    add_tokens(tokenizer)
    add_embeddings(lm, tokenizer, num_old)
    processor = CxrLlavaProcessor(
        tokenizer, tower.recipe, vision.num_tokens, prompt, language_model.chat, context_tokens(lm.config)
    )
    config = CxrLlavaConfig(
        vision_config=vision,
        text_config=lm.config,
        image_token_index=processor.image_token_id,
        projector_num_layers=projector.num_layers,
        prompt_id=processor.prompt_id,
        encoder_key=vision.began_as,
        tie_word_embeddings=lm.config.tie_word_embeddings,
        # Of transformers' Llava, and not read here: vision_config.layers and norm say what is taken of the encoder.
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # no memory: every part is put in
        model = CxrLlavaForConditionalGeneration(config)
    assert type(model.model.language_model) is type(lm.base_model)  # transformers' Auto classes agree on a type's body
    model.model.language_model = lm.base_model
    model.lm_head = lm.get_output_embeddings()
    model.model.vision_tower.encoder = tower
    model.model.multi_modal_projector = seeded_projector(
        vision.hidden_size, lm.config.hidden_size, projector.num_layers, seed=seed
    )
    model.generation_config = _greedy(lm, processor)
    model.train(False)
    return Built(model, processor)


def _greedy(lm: Any, processor: CxrLlavaProcessor) -> Any:
    from transformers import GenerationConfig

    own = lm.generation_config.eos_token_id
    ends = {processor.end_token_id, *(own if isinstance(own, list) else [own])} - {None}
    return GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        bos_token_id=processor.tokenizer.bos_token_id,
        eos_token_id=sorted(ends),
        pad_token_id=processor.tokenizer.pad_token_id,
    )
