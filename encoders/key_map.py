"""Translates a checkpoint's names strictly: every published key is used once, dropped by name, or an error."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class KeyMap:
    """Rules in order; the first whose pattern matches the whole key decides.

    rename: (pattern, replacement) as of `re.sub`. A replacement that ends in `#0`, `#1`, ... is one part of a tensor
    that is concatenated along dimension 0 under the name before the `#` (query, key, value -> qkv); the rules of one
    name tell how many parts it has.
    drop: patterns of keys that this encoder does not have, with the reason beside them in the code.
    """

    rename: Sequence[tuple[str, str]]
    drop: Sequence[str] = field(default=())

    def translate(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Published tensors under the encoder's names.

        Raises:
            ValueError: a key that no rule names, two keys for one place, or a part of a tensor that is missing or has
                another shape than the others.
        """
        import torch

        sources: dict[str, dict[int, str]] = {}  # our name -> part -> published key
        num_parts: dict[str, int] = {}
        unknown = []
        for key in state:
            if any(re.fullmatch(pattern, key) for pattern in self.drop):
                continue
            rule = self._rule(key)
            if rule is None:
                unknown.append(key)
                continue
            match, replacement = rule
            whole, _, part = match.expand(replacement).partition("#")
            found = sources.setdefault(whole, {})
            earlier = found.setdefault(int(part or 0), key)
            if earlier != key:
                raise ValueError(f"checkpoint keys {earlier!r} and {key!r} are both {whole!r}")
            num_parts[whole] = max(num_parts.get(whole, 0), self._num_parts(replacement))
        if unknown:
            raise ValueError(
                f"{len(unknown)} checkpoint keys are unknown to this layout, first {', '.join(sorted(unknown)[:5])}"
            )
        result: dict[str, Tensor] = {}
        for whole, found in sources.items():
            keys = [found[part] for part in sorted(found)]
            tensors = [state[key] for key in keys]
            if len(keys) != num_parts[whole]:
                raise ValueError(
                    f"checkpoint has {len(keys)} of the {num_parts[whole]} parts of {whole!r}: only {', '.join(keys)}"
                )
            if len({tensor.shape for tensor in tensors}) > 1:
                shapes = ", ".join(f"{key} {tuple(state[key].shape)}" for key in keys)
                raise ValueError(f"the parts of {whole!r} have different shapes: {shapes}")
            result[whole] = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
        return result

    def _rule(self, key: str) -> tuple[re.Match[str], str] | None:
        for pattern, replacement in self.rename:
            match = re.fullmatch(pattern, key)
            if match:
                return match, replacement
        return None

    def _num_parts(self, replacement: str) -> int:
        """How many parts the rules give the name that this replacement makes: 1 + the highest number after its `#`."""
        stem = replacement.partition("#")[0]
        numbers = [int(other.partition("#")[2] or 0) for _, other in self.rename if other.partition("#")[0] == stem]
        return 1 + max(numbers)


def has_key(pattern: str, keys: Collection[str]) -> bool:
    """Whether any key matches the whole pattern: `partial(has_key, r"...")` tells a layout by one of its keys."""
    return any(re.fullmatch(pattern, key) for key in keys)
