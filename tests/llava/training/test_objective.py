"""Shape letters: T tokens of a row, K supervised tokens, V vocabulary."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from encoders.preprocessing.recipe import load_recipe
from llava.build import Built, build
from llava.config import EncoderSettings, LanguageModelSettings, ProjectorSettings
from llava.dataset.batching import pack_row
from llava.dataset.example import Example, PackedRow
from llava.packed_attention import NAME as PACKED
from llava.pixels import pixels
from llava.tiny import tiny_language_model
from llava.training.objective import supervised_loss

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "lm"
    tiny_language_model(folder, ["No effusion."], vocab_size=280, width=32, heads=2, kv_heads=1, positions=512)
    model, processor = build(
        EncoderSettings(name="rad_dino", weights="tiny", image_size_px=56),
        LanguageModelSettings(path=str(folder)),
        ProjectorSettings(num_layers=2),
        "findings",
        seed=0,
    )
    model.model.language_model.set_attn_implementation(PACKED)
    return Built(model, processor)


def example(built: Built, seed: int, *, text: int, answer: int) -> Example:
    """A film, `text` tokens, and `answer` supervised ones."""
    chance = np.random.default_rng(seed)
    words_T = chance.integers(3, 200, text + answer)
    image_T = np.full(built.processor.num_image_tokens, built.processor.image_token_id)
    ids_T = np.concatenate([image_T, words_T]).astype(np.int64)
    side = built.processor.recipe.resize.size_px
    film = chance.integers(0, 256, (side, side)).astype(np.uint8)
    return Example(f"s{seed}", ids_T, np.arange(len(ids_T)) >= len(ids_T) - answer, (film,))


def test_the_loss_of_two_tokens_is_what_the_hand_finds():
    class Fixed(nn.Module):
        """Logits of three words at the two places asked for: probabilities 1/2, 1/4, 1/4 and 1/8, 1/8, 3/4."""

        def forward(self, logits_to_keep: Tensor, **_: object) -> SimpleNamespace:
            assert logits_to_keep.tolist() == [1, 2]
            return SimpleNamespace(logits=torch.tensor([[[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]]]).log())

    recipe = load_recipe("rad_dino").at(56)
    row = PackedRow(
        study_ids=("a",),
        input_ids_T=np.array([2, 2, 1, 0]),
        position_ids_T=np.arange(4),
        boundaries_S1=np.array([0, 4], np.int32),
        predicting_K=np.array([1, 2]),
        targets_K=np.array([1, 0]),
        images=(np.zeros((56, 56), np.uint8),),
    )
    # -ln(1/4) - ln(1/8) = ln 32
    assert supervised_loss(Fixed(), row, recipe, CPU).item() == pytest.approx(math.log(32), rel=1e-6)


def test_the_loss_is_that_of_transformers_with_all_logits(built):
    # one study: its loss from labels, a mean over the supervised tokens, as LlavaForConditionalGeneration has it
    one = example(built, 1, text=7, answer=5)
    row = pack_row([one])
    ids_1T = torch.from_numpy(one.input_ids_T)[None]
    labels_1T = torch.where(torch.from_numpy(one.supervised_T)[None], ids_1T, -100)
    theirs = built.model(
        input_ids=ids_1T,
        pixel_values=pixels(one.images, built.processor.recipe, CPU),
        labels=labels_1T,
        use_cache=False,
    ).loss
    ours = supervised_loss(built.model, row, built.processor.recipe, CPU)
    assert ours.item() == pytest.approx(theirs.item() * 5, rel=1e-6)


def test_a_rows_loss_is_the_sum_of_its_studies_losses(built):
    studies = [example(built, 1, text=3, answer=9), example(built, 2, text=20, answer=1)]
    alone = [supervised_loss(built.model, pack_row([one]), built.processor.recipe, CPU).item() for one in studies]
    together = supervised_loss(built.model, pack_row(studies), built.processor.recipe, CPU)
    assert together.item() == pytest.approx(sum(alone), rel=1e-6)


def test_the_loss_is_float32_where_the_model_computes_in_half_precision(built):
    row = pack_row([example(built, 1, text=3, answer=9)])
    exact = supervised_loss(built.model, row, built.processor.recipe, CPU)
    with torch.autocast("cpu", torch.bfloat16):
        loss = supervised_loss(built.model, row, built.processor.recipe, CPU)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=2e-2)
