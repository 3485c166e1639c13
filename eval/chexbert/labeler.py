"""Reports into the fourteen CheXpert labels with CheXbert.

Text is prepared and cut as by the original labeler (label.py of CheXbert): white space runs become one space, numbers
of lists stay, more than 512 token ids become the first 511 and [SEP], and an empty report is labelled like any other.

Shape letters: N reports, B reports of a batch, T tokens, C the fourteen classes, K class codes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import BertWordPieceTokenizer
from torch import Tensor

from eval.chexbert.model import Chexbert, build_chexbert, is_base_width
from eval.chexbert.weights import find_files, read_checkpoint, sha256
from eval.chexpert import CLASSES

MAX_TOKENS = 512


@dataclass(frozen=True, slots=True)
class ChexbertLabeler:
    """A loaded CheXbert. The SHA-256 sums of its weights and its vocabulary belong into the record of a run."""

    model: Chexbert
    tokenizer: BertWordPieceTokenizer
    device: torch.device
    weights_sha256: str
    vocabulary_sha256: str

    def token_ids(self, text: str) -> list[int]:
        """Ids of one report, [CLS] and [SEP] included, at most 512."""
        ids: list[int] = self.tokenizer.encode(" ".join(text.split())).ids
        return ids

    def label_texts(
        self, texts: Sequence[str], *, batch_tokens: int | None = None, on_progress: Callable[[int], None] | None = None
    ) -> npt.NDArray[np.int8]:
        """Class codes (N, C): 0 blank, 1 positive, 2 negative, 3 uncertain.

        Reports of similar length are labelled together, equal ones once. The batch a report falls into changes its
        logits by rounding alone (some 1e-6 of them).

        Args:
            texts: reports; "" and white space are reports too.
            batch_tokens: at most so many tokens, padding included, in a forward pass (a longer report goes alone);
                None: 1,024 on a CPU, where more would no longer fit its caches, else 16,384.
            on_progress: called after each batch with the number of reports labelled so far.

        Raises:
            ValueError: a text is no string or holds half a character, or `batch_tokens` is not positive.
        """
        if batch_tokens is None:
            batch_tokens = 1024 if self.device.type == "cpu" else 16384
        if batch_tokens < 1:
            raise ValueError(f"batch_tokens is {batch_tokens}, not positive")
        rows_of: dict[tuple[int, ...], list[int]] = {}
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"report {row} is {type(text).__name__}, not text")
            try:
                ids = tuple(self.token_ids(text))
            except (TypeError, UnicodeEncodeError) as error:
                raise ValueError(f"report {row} holds half a character (a lone surrogate)") from error
            rows_of.setdefault(ids, []).append(row)
        codes_NC = np.empty((len(texts), len(CLASSES)), dtype=np.int8)
        longest_first = sorted(rows_of, key=len, reverse=True)  # memory runs out in the first batch or never
        start = done = 0
        while start < len(longest_first):
            batch = longest_first[start : start + max(1, batch_tokens // len(longest_first[start]))]
            start += len(batch)
            codes_BC = self.logits(batch).argmax(dim=-1).to(torch.int8).numpy()  # the first code of a tie, as upstream
            for ids, codes_C in zip(batch, codes_BC, strict=True):
                codes_NC[rows_of[ids]] = codes_C
                done += len(rows_of[ids])
            if on_progress:
                on_progress(done)
        return codes_NC

    @torch.inference_mode()
    def logits(self, batch: Sequence[Sequence[int]]) -> Tensor:
        """Logits (B, C, K) of token ids, on the CPU; -inf for the codes that No Finding does not have."""
        longest = max(len(ids) for ids in batch)
        ids_BT = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in batch])  # padding is masked
        length_B1 = torch.tensor([[len(ids)] for ids in batch])
        mask_BT = (torch.arange(longest) < length_B1).to(torch.long)
        logits_BCK: Tensor = self.model(ids_BT.to(self.device), mask_BT.to(self.device))
        return logits_BCK.cpu()


def load_chexbert(
    checkpoint: str | Path,
    *,
    revision: str | None = None,
    bert_config: str | Path | None = None,
    vocab: str | Path | None = None,
    device: str = "cpu",
) -> ChexbertLabeler:
    """CheXbert from a checkpoint in the published layout, every tensor accounted for.

    Args:
        checkpoint: a file, or a hub repository that holds `chexbert.pth` (`eval.chexbert.weights.HUB_CHECKPOINT`).
        revision: of the hub repository; None: its main branch.
        bert_config: BERT's config.json; None: BERT-base's, with sizes read off the weights, or for a checkpoint of
            another width the one beside it.
        vocab: BERT's vocab.txt; None: the one beside a local checkpoint, or bert-base-uncased's from the hub.
        device: "cpu", "cuda", or "auto" for CUDA where there is one.

    Raises:
        FileNotFoundError: a file is not there; the message says where to get it.
        OSError: the hub cannot be reached or does not have the file.
        ValueError: the checkpoint is not CheXbert's (the message names the tensors), or the vocabulary is another.
    """
    files = find_files(checkpoint, revision=revision, vocab=vocab)
    state = read_checkpoint(files.checkpoint)
    if bert_config is None and not is_base_width(state):
        bert_config = files.config_beside
    model = build_chexbert(state, Path(bert_config) if bert_config else None, files.checkpoint.name)
    config = model.bert.config
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda: this PyTorch sees no CUDA device; take cpu or auto")
    place = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    return ChexbertLabeler(
        model=model.to(place),
        tokenizer=_tokenizer(files.vocabulary, config.vocab_size, min(MAX_TOKENS, config.max_position_embeddings)),
        device=place,
        weights_sha256=sha256(files.checkpoint),
        vocabulary_sha256=sha256(files.vocabulary),
    )


def _tokenizer(path: Path, vocab_size: int, max_tokens: int) -> BertWordPieceTokenizer:
    tokens = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    special = [token for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if token not in tokens]
    if len(tokens) != vocab_size or special:
        raise ValueError(
            f"{path} is not this checkpoint's vocabulary: {len(tokens)} tokens for {vocab_size} embeddings"
            + (f", without {', '.join(special)}" if special else "")
        )
    tokenizer = BertWordPieceTokenizer({token: number for number, token in enumerate(tokens)}, lowercase=True)
    tokenizer.enable_truncation(max_tokens)
    return tokenizer
