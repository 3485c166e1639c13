"""A CheXbert made here: random weights, two small layers, a vocabulary of its own."""

import json

import pytest
import torch
from transformers import BertConfig, BertModel

# Whole words, word pieces and punctuation; the ids are the line numbers.
VOCABULARY = """[PAD] [UNK] [CLS] [SEP] [MASK] the heart lungs are is clear enlarged no pleural effusion pneumothorax
edema cafe 1 ##s ##ged in ##o . , and""".split()
CONFIG = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 512,
    "initializer_range": 1.0,  # the usual 0.02 would give every report the same labels
}


@pytest.fixture(scope="session")
def tiny_state():
    """Tensors as the published checkpoint names them: BERT with its pooler, and fourteen heads."""
    torch.manual_seed(0)
    bert = BertModel(BertConfig(**CONFIG))
    state = {f"module.bert.{name}": tensor for name, tensor in bert.state_dict().items()}
    for head in range(14):
        outputs = 2 if head == 13 else 4
        state[f"module.linear_heads.{head}.weight"] = torch.randn(outputs, CONFIG["hidden_size"])
        state[f"module.linear_heads.{head}.bias"] = torch.randn(outputs)
    return state


@pytest.fixture
def save_chexbert(tmp_path):
    """Writes a checkpoint with its vocabulary and config.json; gives the checkpoint's path."""

    def save(state, name="chexbert.pth", **torch_save):
        torch.save({"epoch": 8, "model_state_dict": state}, tmp_path / name, **torch_save)
        (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
        (tmp_path / "config.json").write_text(json.dumps(CONFIG))
        return tmp_path / name

    return save
