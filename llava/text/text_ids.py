"""Texts into token ids, none of which a text can turn into a special token, and ids back into text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

_FAR = 40  # characters; a word that is longer is cut within


class TextIds:
    """What a tokenizer makes of texts.

    Args:
        protected: ids besides the tokenizer's special ones that no text may give: the films' placeholder, tokens of
            the chat's frame.
    """

    def __init__(self, tokenizer: Any, protected: Iterable[int]) -> None:
        self._tokenizer = tokenizer
        self._protected = frozenset(protected)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, none of them special whatever it says: "</s>" in a report is two signs and a letter."""
        if not text:
            return []
        ids: list[int] = self._tokenizer(text, **_PLAIN)["input_ids"]
        if self._forbidden.isdisjoint(ids):
            return ids
        # split_special_tokens does not reach added tokens that are not called special, nor pieces that a Unigram model
        # holds in its vocabulary. In halves of halves no such token is left whole.
        if len(text) == 1:
            return []  # a character that this tokenizer would read as the end of the text
        half = len(text) // 2
        return self.encode(text[:half]) + self.encode(text[half:])

    def without_beginning(self, text: str, num_tokens: int) -> str:
        """A text of single spaces without its first tokens and the rest of the word they end in; "" may be left."""
        if self._tokenizer.is_fast:
            offsets = self._tokenizer(text, return_offsets_mapping=True, **_PLAIN)["offset_mapping"]
            starts = [start for start, _ in offsets]
        else:  # it cannot say where a token stands: evenly spread
            count = len(self._tokenizer(text, **_PLAIN)["input_ids"])
            starts = [place * len(text) // count for place in range(count)]
        if num_tokens >= len(starts):
            return ""
        start = starts[num_tokens]
        space = text.find(" ", start, start + _FAR)
        if space >= 0:
            return text[space + 1 :]
        return text[start:] if start + _FAR < len(text) else ""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of generated ids: no special ones, no white space at its ends."""
        kept = [token for token in map(int, ids) if token not in self._forbidden]
        text: str = self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text.strip()

    @cached_property
    def _forbidden(self) -> frozenset[int]:
        """All special ids, but the one for unknown characters where it neither begins nor ends a text."""
        tokenizer = self._tokenizer
        special = {tokenizer.convert_tokens_to_ids(token) for token in special_tokens(tokenizer)}
        if tokenizer.unk_token_id not in {tokenizer.bos_token_id, tokenizer.eos_token_id}:
            special.discard(tokenizer.unk_token_id)
        return frozenset(special) | self._protected


_PLAIN = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}


def special_tokens(tokenizer: Any) -> tuple[str, ...]:
    """All tokens that the tokenizer calls special, the longest first, so that none hides a longer one."""
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    return tuple(sorted({*added, *tokenizer.all_special_tokens}, key=lambda token: (-len(token), token)))


def split_at_tokens(tokenizer: Any, text: str) -> list[str | int]:
    """A text of ours: added and special tokens as ids, the words between them as text.

    White space that a token swallows (lstrip and rstrip of AddedToken) is left out, as the tokenizer does.
    """
    added = {str(token): token for token in tokenizer.added_tokens_decoder.values()}
    tokens = sorted({*special_tokens(tokenizer), *added}, key=len, reverse=True)
    pieces = re.split(f"({'|'.join(map(re.escape, tokens)) or '(?!)'})", text)  # text, token, text, ..., text
    for place in range(1, len(pieces), 2):
        token = added.get(pieces[place])
        if token is not None and token.lstrip:
            pieces[place - 1] = pieces[place - 1].rstrip()
        if token is not None and token.rstrip:
            pieces[place + 1] = pieces[place + 1].lstrip()
    return [
        int(tokenizer.convert_tokens_to_ids(piece)) if place % 2 else piece
        for place, piece in enumerate(pieces)
        if piece
    ]
