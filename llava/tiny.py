"""A small random Llama with a tokenizer of its own, for tests, demonstrations and trial runs: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"  # Llama's own, with its ids: 0, 1, 2
_LEAST_VOCABULARY = 3 + 256  # the special tokens and every byte


def tiny_language_model(
    folder: Path,
    texts: Iterable[str],
    *,
    vocab_size: int = 512,
    width: int = 64,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    positions: int = 4096,
    seed: int = 0,
) -> Path:
    """Write a random Llama and a byte-level tokenizer trained on `texts` in Hugging Face's layout; gives `folder`.

    The tokenizer gives every text back as it was, whatever its letters. The same arguments write the same model.

    Args:
        vocab_size: at most this many tokens; few texts make fewer, and the model's embedding has as many.
        width: of the residual stream; the MLP is 2.75 times as wide, about as Llama's.
        heads, kv_heads: query heads, and key and value heads that they share.
        positions: the model's context.

    Raises:
        FileExistsError: the folder holds a model already.
        ValueError: a size that cannot be.
    """
    import torch

    from encoders.torchvision_shim import import_torchvision

    import_torchvision()
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    from llava.language_model import quiet

    if vocab_size < _LEAST_VOCABULARY:
        raise ValueError(f"vocab_size is {vocab_size}; every byte and 3 special tokens need {_LEAST_VOCABULARY}")
    if width % (2 * heads) or heads % kv_heads:
        raise ValueError(
            f"width {width}, heads {heads}, kv_heads {kv_heads}: width must be a multiple of twice the heads "
            "(rotary positions turn pairs), heads of kv_heads"
        )
    if (folder / "config.json").exists():
        raise FileExistsError(f"{folder} holds a model already; choose another folder")
    num_tokens = _write_tokenizer(folder, texts, vocab_size, positions)
    config = LlamaConfig(
        vocab_size=num_tokens,
        hidden_size=width,
        intermediate_size=width * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=positions,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):  # the caller's chance stays as it was
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2)  # type: ignore[no-untyped-call]
    with quiet():
        model.save_pretrained(folder)
    return folder


def _write_tokenizer(folder: Path, texts: Iterable[str], vocab_size: int, positions: int) -> int:
    """Train and write it; gives the number of tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[UNKNOWN, BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN} $B", special_tokens=[(BEGIN, 1)]
    )
    whole = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        bos_token=BEGIN,
        eos_token=END,
        model_max_length=positions,
        clean_up_tokenization_spaces=False,  # it would close the gap before a full stop
    )
    folder.mkdir(parents=True, exist_ok=True)
    whole.save_pretrained(folder)
    return len(whole)
