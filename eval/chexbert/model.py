"""CheXbert's network, and a checkpoint of it put in place with nothing left over.

Architecture of Smit et al. (arXiv 2004.09167): BERT, the last hidden state at [CLS] (not the pooler), and one linear
head a class: four outputs, but two for No Finding. The dropout before the heads acts in training only and is left out.

Shape letters: B reports of a batch, T tokens, D width, C the fourteen classes, K class codes (0 blank, 1 positive,
2 negative, 3 uncertain).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from eval.chexpert import CLASSES

_WORDS = "bert.embeddings.word_embeddings.weight"
_POSITIONS = "bert.embeddings.position_embeddings.weight"
_TYPES = "bert.embeddings.token_type_embeddings.weight"
_LAYER = re.compile(r"bert\.encoder\.layer\.(\d+)\.intermediate\.dense\.weight")
_BASE_WIDTH, _BASE_HEADS = 768, 12  # BERT-base, of which the published checkpoint is one
# Published checkpoints hold the pooler, which CheXbert does not use; copies saved with old versions of transformers
# also hold the position numbers 0..511, which are no weights.
_UNUSED = ("bert.pooler.dense.weight", "bert.pooler.dense.bias", "bert.embeddings.position_ids")


class Chexbert(nn.Module):
    """BERT and fourteen heads; parameters are named as in the published checkpoint."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = BertModel(config, add_pooling_layer=False)
        outputs = [2 if name == "No Finding" else 4 for name in CLASSES]
        self.linear_heads = nn.ModuleList(nn.Linear(config.hidden_size, size) for size in outputs)

    def forward(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits (B, C, K) of token ids and their mask (1 token, 0 padding); -inf for codes a class does not have."""
        cls_BD = self.bert(ids_BT, attention_mask=mask_BT).last_hidden_state[:, 0]
        logits_BCK: Tensor = cls_BD.new_full((len(ids_BT), len(self.linear_heads), 4), -torch.inf)
        for column, head in enumerate(self.linear_heads):
            logits_BK = head(cls_BD)
            logits_BCK[:, column, : logits_BK.shape[1]] = logits_BK
        return logits_BCK


def is_base_width(state: Mapping[str, Tensor]) -> bool:
    """Whether the checkpoint is as wide as BERT-base, so that it needs no config.json."""
    return _WORDS in state and state[_WORDS].shape[-1] == _BASE_WIDTH


def build_chexbert(state: Mapping[str, Tensor], config_path: Path | None, source: str) -> Chexbert:
    """The network with the weights of `state`, in evaluation mode, float32, on the CPU.

    Args:
        state: tensors by published name, without the prefix "module.".
        config_path: BERT's config.json; None: the sizes are read off the tensors, and the number of attention heads,
            which they don't tell, is that of BERT-base.
        source: the checkpoint's name, for messages.

    Raises:
        ValueError: a tensor is missing, too many, of another shape, or not finite; or `config_path` is None and the
            width is not BERT-base's 768.
    """
    config = _config_of(state, source) if config_path is None else BertConfig.from_json_file(config_path)
    model = Chexbert(config)
    weights = {name: tensor for name, tensor in state.items() if name not in _UNUSED}
    expected = model.state_dict()
    missing, unexpected = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or unexpected:
        raise ValueError(
            f"{source} is no CheXbert of this size: missing {_some(missing)}; unexpected {_some(unexpected)}"
        )
    shapes = [
        f"{name} {tuple(weights[name].shape)}, not {tuple(expected[name].shape)}"
        for name in expected
        if weights[name].shape != expected[name].shape
    ]
    if shapes:
        raise ValueError(f"{source} is no CheXbert of this size: another shape {_some(shapes)}")
    broken = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ValueError(f"{source}: not finite: {_some(broken)}")
    model.load_state_dict(weights)
    return model.eval()


def _config_of(state: Mapping[str, Tensor], source: str) -> BertConfig:
    layers = {int(match[1]): tensor for name, tensor in state.items() if (match := _LAYER.fullmatch(name))}
    missing = [name for name in (_WORDS, _POSITIONS, _TYPES) if name not in state]
    if missing or not layers:
        raise ValueError(f"{source} is no CheXbert: missing {_some(missing) if missing else 'the layers of BERT'}")
    vocab_size, width = state[_WORDS].shape
    if not is_base_width(state):
        raise ValueError(
            f"{source}: width {width}, and only for {_BASE_WIDTH} (BERT-base) is the number of attention heads known: "
            "put BERT's config.json beside the checkpoint or name it"
        )
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        num_hidden_layers=max(layers) + 1,
        num_attention_heads=_BASE_HEADS,
        intermediate_size=next(iter(layers.values())).shape[0],
        max_position_embeddings=state[_POSITIONS].shape[0],
        type_vocab_size=state[_TYPES].shape[0],
    )


def _some(names: list[str]) -> str:
    """At most four names and how many more: a wrong checkpoint has hundreds."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (", ".join(names[:4]) or "none") + more
