"""FLOPs by formula, against PyTorch's own counter on models that really run, and against sizes reckoned by hand."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig

from encoders.registry import load_encoder
from llava.config import ConfigError, EncoderSettings, LoraSettings, StageSettings
from llava.planning.architecture import encoder_shape, language_model_config
from llava.planning.flops import EncoderShape, LanguageModelShape, ModelShape
from llava.projector import MlpProjector

IMAGES, IMAGE_TOKENS, IMAGE_WIDTH, TEXT, TARGET = 2, 5, 24, 11, 4
TOKENS = IMAGES * IMAGE_TOKENS + TEXT
SMALL = LlamaConfig(
    vocab_size=97,
    hidden_size=32,
    intermediate_size=56,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    attn_implementation="eager",  # whose products the counter sees one by one
)


def small_shape():
    encoder = EncoderShape(IMAGE_TOKENS, IMAGE_WIDTH, weights=0, flops=0, kept_values=0, largest_values=0)
    return ModelShape(encoder, 4, LanguageModelShape.of(SMALL))


def stage(*parts, lora=None):
    return StageSettings(name="s", train=parts, lora=lora)


def counted(*, projector_learns, language_model_learns, films_learn=False, lora=None, checkpointing=False):
    """FLOPs of one study, forward and backward, as the counter finds them."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(SMALL)
    model.requires_grad_(language_model_learns and lora is None)
    if lora is not None:
        import peft

        targets = list(lora.targets)
        peft.inject_adapter_in_model(peft.LoraConfig(r=lora.rank, lora_alpha=1, target_modules=targets), model)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.train()
    projector = MlpProjector(IMAGE_WIDTH, SMALL.hidden_size, 4).requires_grad_(projector_learns)
    films = torch.randn(IMAGES * IMAGE_TOKENS, IMAGE_WIDTH, requires_grad=films_learn)
    with FlopCounterMode(display=False) as counter:
        tokens = torch.cat([projector(films), model.get_input_embeddings()(torch.arange(TEXT))])
        logits = model(inputs_embeds=tokens[None], use_cache=False, logits_to_keep=TARGET).logits
        logits.sum().backward()
    return counter.get_total_flops()


def formula(at):
    # the counter sees all T^2 pairs of query and key, of which a causal model needs half
    return small_shape().training(
        at, images=IMAGES, tokens=TOKENS, lengths2=2 * TOKENS**2, supervised_tokens=TARGET, checkpointing=True
    )


def test_training_all_but_the_encoder():
    expected = counted(projector_learns=True, language_model_learns=True)
    # the counter, too, needs no gradient of the films
    assert formula(stage("projector", "language_model")).useful == expected


def test_frozen_language_model_behind_a_projector_that_learns():
    expected = counted(projector_learns=True, language_model_learns=False)
    found = formula(stage("projector"))
    assert found.useful == expected
    shape = small_shape().language_model
    without_attention = found.language_model - 12 * shape.layers * shape.attention_width * TOKENS**2
    assert without_attention == 4 * (shape.product_weights * TOKENS + shape.head_weights * TARGET)


def test_lora_adds_its_own_products_and_takes_no_gradient_of_the_weights_beneath():
    lora = LoraSettings(rank=3, targets=("q_proj", "v_proj", "down_proj"))
    expected = counted(projector_learns=True, language_model_learns=True, lora=lora)
    assert formula(stage("projector", "language_model", lora=lora)).useful == expected


def test_gradients_go_through_a_projector_to_an_encoder_that_learns():
    expected = counted(projector_learns=False, language_model_learns=True, films_learn=True)
    assert formula(stage("encoder", "language_model")).useful == expected


def test_checkpointing_is_counted_apart():
    once = counted(projector_learns=True, language_model_learns=True)
    twice = counted(projector_learns=True, language_model_learns=True, checkpointing=True)
    # the last product of a layer, the MLP's way down, is not needed again for gradients, and PyTorch stops before it
    last = 2 * SMALL.num_hidden_layers * SMALL.intermediate_size * SMALL.hidden_size * TOKENS
    found = formula(stage("projector", "language_model"))
    assert found.recomputed - last == twice - once
    off = small_shape().training(
        stage("projector"), images=1, tokens=9, lengths2=81, supervised_tokens=2, checkpointing=False
    )
    assert off.recomputed == 0


def test_encoder_that_learns_costs_three_passes():
    shape = small_shape()
    shape = ModelShape(shape.encoder._replace(flops=1000), 4, shape.language_model)
    numbers = {"images": 7, "tokens": 99, "lengths2": 999, "supervised_tokens": 9}
    assert shape.training(stage("projector"), **numbers).encoder == 7_000
    assert shape.training(stage("encoder", "projector"), **numbers).encoder == 21_000


def test_generation_is_a_prompt_at_once_and_then_word_by_word():
    prompt, new = 40, 30
    model = LlamaForCausalLM(SMALL).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.generate(
            torch.zeros(1, prompt, dtype=torch.long), min_new_tokens=new, max_new_tokens=new, do_sample=False
        )
    attention = 4 * SMALL.num_hidden_layers * SMALL.hidden_size * prompt**2 / 2  # of the prompt, seen twice
    found = small_shape().generating(images=0, prompt_tokens=prompt, new_tokens=new)
    # the last word's own pass is not needed: of 70 tokens one
    assert found.language_model == pytest.approx(counter.get_total_flops() - attention, rel=2 / 70)


def test_generating_sees_the_films_once():
    shape = small_shape()
    shape = ModelShape(shape.encoder._replace(flops=1000), 4, shape.language_model)
    found = shape.generating(images=3, prompt_tokens=10, new_tokens=10)
    assert found.encoder == 3000
    width = SMALL.hidden_size
    assert found.projector == 2 * (IMAGE_WIDTH * width + 3 * width**2) * 3 * IMAGE_TOKENS


def test_vicuna_13b_by_hand():
    shape = LanguageModelShape.of(language_model_config("lmsys/vicuna-13b-v1.5@c8327bf"))
    width, inner, layers, words = 5120, 13824, 40, 32000
    products = layers * (4 * width**2 + 3 * width * inner)
    assert shape.product_weights == products
    assert shape.weights == products + 2 * words * width + (2 * layers + 1) * width  # embeddings, head, norms
    assert shape.kv_bytes() == 819_200
    lora = shape.lora_weights(("q_proj", "down_proj"), 128)
    assert lora == layers * 128 * (2 * width + width + inner)


def test_vicuna_7b_is_known_by_its_name():
    shape = LanguageModelShape.of(language_model_config("lmsys/vicuna-7b-v1.5"))
    assert shape.weights == 6_738_415_616
    assert (shape.positions, shape.kv_bytes()) == (4096, 524_288)


def test_shared_keys_and_values_take_less_cache():
    assert LanguageModelShape.of(SMALL).kv_bytes() == 2 * 3 * (2 * 8) * 2


def test_tied_head_is_multiplied_but_stored_once():
    tied = LanguageModelShape.of(LlamaConfig(**{**SMALL.to_dict(), "tie_word_embeddings": True}))
    untied = LanguageModelShape.of(SMALL)
    assert tied.head_weights == untied.head_weights == 97 * 32
    assert tied.product_weights == untied.product_weights
    assert untied.weights - tied.weights == 97 * 32


def test_of_many_experts_a_token_meets_two():
    config = MixtralConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        num_local_experts=8,
        num_experts_per_tok=2,
    )
    experts, router = 2 * 3 * 16 * 40, 8 * 16
    assert LanguageModelShape.of(config).product_weights == 2 * (4 * 16**2 + experts + router)


@pytest.mark.parametrize(
    ("name", "gflop", "tokens", "width"), [("rad_dino", 303, 1369, 768), ("medimageinsight", 733, 289, 2048)]
)
def test_encoders_at_518_px_cost_what_was_measured(name, gflop, tokens, width):
    shape = encoder_shape(EncoderSettings(name=name, weights="hub", image_size_px=518))
    assert shape.flops == pytest.approx(gflop * 1e9, rel=0.03)
    assert (shape.num_tokens, shape.token_width) == (tokens, width)


def test_encoder_flops_are_those_of_a_pass_that_runs():
    encoder = load_encoder("biomedclip", weights="tiny")
    pixels = torch.zeros(1, 3, 224, 224)
    # fused attention on the CPU is one operator, which the counter does not know
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        encoder.encode(pixels, layers=())
    shape = encoder_shape(EncoderSettings(name="biomedclip", weights="tiny"))
    assert shape.flops == counter.get_total_flops()
    assert shape.weights == sum(one.numel() for one in encoder.parameters())


def test_joined_layers_widen_the_tokens():
    settings = EncoderSettings(name="biomedclip", weights="tiny", layers=(0, -1))
    alone = encoder_shape(settings.model_copy(update={"layers": None}))
    assert encoder_shape(settings).token_width == 2 * alone.token_width
    assert encoder_shape(settings).num_tokens == alone.num_tokens


def test_own_encoder_has_a_shape(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(
        'preprocessing = "rad_dino"\n[encoder]\nname = "mine"\nbackend = "timm"\nmodel = "vit_tiny_patch16_224"\n'
        'image_size_px = 224\npooling = "cls"\n'
    )
    shape = encoder_shape(EncoderSettings(name=str(file), weights="w.safetensors"))
    assert (shape.num_tokens, shape.token_width) == (196, 192)
    products = 12 * 12 * 192**2 * 197 * 2  # 12 blocks of 12 D^2 weights, 197 tokens with the class's
    attention = 12 * 4 * 192 * 197**2
    patches = 2 * 196 * 192 * 3 * 16**2
    assert shape.flops == pytest.approx(products + attention + patches, rel=1e-6)


def test_unknown_language_model_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"language_model\.path = .*empty"):
        language_model_config(str(tmp_path / "empty"))
