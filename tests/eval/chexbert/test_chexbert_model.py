"""A checkpoint becomes CheXbert whole, or not at all."""

import hashlib
import json
import math

import huggingface_hub
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from huggingface_hub.errors import LocalEntryNotFoundError

from eval.chexbert.labeler import load_chexbert
from eval.chexbert.weights import HUB_CHECKPOINT, HUB_VOCABULARY


def logits_by_hand(state, ids, heads):
    """CheXbert of one report in plain tensor operations: a BERT that owes nothing to transformers."""
    weight = {name.removeprefix("module."): tensor for name, tensor in state.items()}

    def linear(x, name):
        return x @ weight[f"{name}.weight"].T + weight[f"{name}.bias"]

    def norm(x, name):
        scaled = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-12)
        return scaled * weight[f"{name}.weight"] + weight[f"{name}.bias"]

    tables = "bert.embeddings.{}_embeddings.weight"
    x = weight[tables.format("word")][ids] + weight[tables.format("position")][: len(ids)]
    x = norm(x + weight[tables.format("token_type")][0], "bert.embeddings.LayerNorm")
    layer = 0
    while f"bert.encoder.layer.{layer}.output.dense.weight" in weight:
        at = f"bert.encoder.layer.{layer}"
        q, k, v = (
            linear(x, f"{at}.attention.self.{part}").reshape(len(ids), heads, -1).transpose(0, 1)
            for part in ("query", "key", "value")
        )
        mixed = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]), dim=-1) @ v
        mixed = linear(mixed.transpose(0, 1).reshape(len(ids), -1), f"{at}.attention.output.dense")
        x = norm(x + mixed, f"{at}.attention.output.LayerNorm")
        inner = linear(x, f"{at}.intermediate.dense")
        inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
        x = norm(x + linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
        layer += 1
    return [linear(x[0], f"linear_heads.{head}") for head in range(14)]


def test_logits_are_those_of_bert_written_out_by_hand(tiny_state, save_chexbert):
    labeler = load_chexbert(save_chexbert(tiny_state))
    ids = labeler.token_ids("The heart is enlarged. No pleural effusion.")
    expected = logits_by_hand(tiny_state, ids, heads=2)
    given = labeler.logits([ids])[0]
    for head, (row, row_expected) in enumerate(zip(given, expected, strict=True)):
        torch.testing.assert_close(row[: len(row_expected)], row_expected, rtol=1e-4, atol=1e-4)
        assert (len(row_expected) == 2) == (head == 13)
    assert torch.isneginf(given[13, 2:]).all()  # No Finding is blank or positive, never negative or uncertain


def test_a_checkpoint_of_an_old_file_format_without_prefix_and_with_position_ids_loads_the_same(
    tiny_state, save_chexbert
):
    new = load_chexbert(save_chexbert(tiny_state))
    state = {name.removeprefix("module."): tensor for name, tensor in tiny_state.items()}
    state["bert.embeddings.position_ids"] = torch.arange(512)[None]
    old = load_chexbert(save_chexbert(state, "old.pth", _use_new_zipfile_serialization=False))
    torch.testing.assert_close(old.logits([[2, 5, 6, 3]]), new.logits([[2, 5, 6, 3]]), rtol=0, atol=0)


def test_the_pooler_may_be_there_or_not_since_chexbert_does_not_use_it(tiny_state, save_chexbert):
    state = {name: tensor for name, tensor in tiny_state.items() if "pooler" not in name}
    assert len(state) == len(tiny_state) - 2
    without = load_chexbert(save_chexbert(state, "without.pth"))
    torch.testing.assert_close(
        without.logits([[2, 5, 3]]), load_chexbert(save_chexbert(tiny_state)).logits([[2, 5, 3]]), rtol=0, atol=0
    )


def test_a_missing_tensor_is_named(tiny_state, save_chexbert):
    state = {name: tensor for name, tensor in tiny_state.items() if name != "module.linear_heads.7.bias"}
    with pytest.raises(ValueError, match=r"missing linear_heads\.7\.bias; unexpected none"):
        load_chexbert(save_chexbert(state))


def test_an_unexpected_tensor_is_named(tiny_state, save_chexbert):
    state = {**tiny_state, "module.linear_heads.14.weight": torch.zeros(4, 16)}
    with pytest.raises(ValueError, match=r"missing none; unexpected linear_heads\.14\.weight"):
        load_chexbert(save_chexbert(state))


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tiny_state, save_chexbert):
    state = {**tiny_state, "module.linear_heads.13.weight": torch.zeros(4, 16)}
    with pytest.raises(ValueError, match=r"linear_heads\.13\.weight \(4, 16\), not \(2, 16\)"):
        load_chexbert(save_chexbert(state))


def test_a_config_of_another_depth_is_refused_and_the_names_are_counted(tiny_state, save_chexbert):
    path = save_chexbert(tiny_state)
    other = path.with_name("deeper.json")
    other.write_text(json.dumps({**json.loads(path.with_name("config.json").read_text()), "num_hidden_layers": 3}))
    with pytest.raises(ValueError, match=r"missing bert\.encoder\.layer\.2\..* and 12 more"):  # 16 tensors a layer
        load_chexbert(path, bert_config=other)


def test_the_number_of_attention_heads_in_the_config_changes_the_logits(tiny_state, save_chexbert):
    path = save_chexbert(tiny_state)
    other = path.with_name("four_heads.json")
    other.write_text(json.dumps({**json.loads(path.with_name("config.json").read_text()), "num_attention_heads": 4}))
    ids = [2, 5, 6, 9, 11, 3]
    given = load_chexbert(path, bert_config=other).logits([ids])[0]
    torch.testing.assert_close(given[0], logits_by_hand(tiny_state, ids, heads=4)[0], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(given[0], load_chexbert(path).logits([ids])[0, 0], atol=1e-2)


def test_weights_that_are_not_numbers_are_refused(tiny_state, save_chexbert):
    broken = tiny_state["module.linear_heads.0.bias"].clone()
    broken[2] = torch.nan
    with pytest.raises(ValueError, match=r"not finite: linear_heads\.0\.bias"):
        load_chexbert(save_chexbert({**tiny_state, "module.linear_heads.0.bias": broken}))


def test_a_width_whose_number_of_heads_is_unknown_needs_a_config(tiny_state, save_chexbert):
    path = save_chexbert(tiny_state)
    path.with_name("config.json").unlink()
    with pytest.raises(ValueError, match=r"width 16, .*config\.json beside the checkpoint"):
        load_chexbert(path)


def test_a_checkpoint_as_wide_as_bert_base_needs_no_config_and_passes_over_a_stray_one(
    tiny_state, save_chexbert, monkeypatch
):
    monkeypatch.setattr("eval.chexbert.model._BASE_WIDTH", 16)  # stands for 768: the real size is too slow for a test
    monkeypatch.setattr("eval.chexbert.model._BASE_HEADS", 2)
    path = save_chexbert(tiny_state)
    path.with_name("config.json").write_text('{"hidden_size": 99}')
    ids = [2, 5, 6, 3]
    given = load_chexbert(path).logits([ids])[0, 3]
    torch.testing.assert_close(given, logits_by_hand(tiny_state, ids, heads=2)[3], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404</html>", b"PK\x03\x04 cut off"],
    ids=["empty", "a web page", "cut off"],
)
def test_a_file_that_is_no_checkpoint_is_refused(content, tiny_state, save_chexbert):
    path = save_chexbert(tiny_state)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no checkpoint"):
        load_chexbert(path)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1], {"model_state_dict": {"a": "b"}}])
def test_a_checkpoint_of_another_layout_is_refused(content, tiny_state, save_chexbert):
    path = save_chexbert(tiny_state)
    torch.save(content, path)
    with pytest.raises(ValueError, match="no model_state_dict of tensors"):
        load_chexbert(path)


def test_another_model_is_refused_by_what_it_lacks(save_chexbert):
    path = save_chexbert({"fc.weight": torch.zeros(2, 2)})
    path.with_name("config.json").unlink()
    with pytest.raises(ValueError, match=r"missing bert\.embeddings\.word_embeddings\.weight"):
        load_chexbert(path)


def test_the_vocabulary_must_have_a_token_for_each_embedding(tiny_state, save_chexbert):
    path = save_chexbert(tiny_state)
    other = path.with_name("other.txt")
    other.write_text("[PAD]\n[UNK]\n[CLS]\nheart\n")
    with pytest.raises(ValueError, match=r"4 tokens for 26 embeddings, without \[SEP\]"):
        load_chexbert(path, vocab=other)


def test_without_a_vocabulary_the_message_says_where_to_get_it(tiny_state, save_chexbert):
    path = save_chexbert(tiny_state)
    path.with_name("vocab.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"vocab\.txt of bert-base-uncased"):
        load_chexbert(path)


def test_a_path_that_is_not_there_is_no_hub_repository(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint file"):
        load_chexbert(tmp_path / "chexbert.pth")
    with pytest.raises(FileNotFoundError, match="no checkpoint file"):
        load_chexbert("weights/chexbert.pth")


def test_a_revision_of_a_local_file_is_refused(tiny_state, save_chexbert):
    with pytest.raises(ValueError, match="only a hub repository has revisions"):
        load_chexbert(save_chexbert(tiny_state), revision="main")


def test_a_hub_repository_gives_its_checkpoint_and_the_vocabulary_of_bert(tiny_state, save_chexbert, monkeypatch):
    path = save_chexbert(tiny_state)
    asked = []

    def download(repository, name, *, revision):
        asked.append((repository, name, revision))
        return str(path.with_name(name))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    labeler = load_chexbert(HUB_CHECKPOINT, revision="abc", bert_config=path.with_name("config.json"))
    assert asked == [(HUB_CHECKPOINT, "chexbert.pth", "abc"), (HUB_VOCABULARY, "vocab.txt", None)]
    assert labeler.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert labeler.vocabulary_sha256 == hashlib.sha256(path.with_name("vocab.txt").read_bytes()).hexdigest()


def test_an_unreachable_hub_ends_in_one_line(monkeypatch):
    def download(*_, **__):
        raise LocalEntryNotFoundError("many\nlines")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(OSError, match=r"cannot get chexbert\.pth of StanfordAIMI/RRG_scorers") as caught:
        load_chexbert(HUB_CHECKPOINT)
    assert "\n" not in str(caught.value)


def test_half_precision_weights_are_computed_in_single_precision(tiny_state, save_chexbert):
    halves = {name: tensor.half() for name, tensor in tiny_state.items()}
    labeler = load_chexbert(save_chexbert(halves))
    assert {parameter.dtype for parameter in labeler.model.parameters()} == {torch.float32}
    singles = {name: tensor.float() for name, tensor in halves.items()}
    ids = [2, 5, 6, 3]
    expected = F.pad(logits_by_hand(singles, ids, heads=2)[13], (0, 2), value=-torch.inf)
    torch.testing.assert_close(labeler.logits([ids])[0, 13], expected, rtol=1e-4, atol=1e-4)
