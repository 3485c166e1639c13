"""What training makes small: the cross-entropy of a row's supervised tokens.

Shape letters: T tokens of a row, K supervised tokens, S studies, I images, H rows, W columns, V vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llava.dataset.example import PackedRow
from llava.pixels import pixels

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from encoders.preprocessing.recipe import Recipe


def supervised_loss(model: nn.Module, row: PackedRow, recipe: Recipe, device: torch.device) -> Tensor:
    """The sum, in nats, of the cross-entropies of the row's supervised tokens: a scalar in float32.

    A sum and no mean: what it is to be divided by is the count of a whole step's tokens, over rows and processes. The
    head computes the K positions that predict a supervised token, not the T of the row: of a study with three
    1,369-token images about 150 of 4,500.
    """
    import torch
    from torch.nn import functional

    boundaries_S1 = torch.from_numpy(row.boundaries_S1).to(device)
    logits_1KV = model(
        input_ids=torch.from_numpy(row.input_ids_T).to(device)[None],
        pixel_values=pixels(row.images, recipe, device),
        position_ids=torch.from_numpy(row.position_ids_T).to(device)[None],
        cu_seq_lens_q=boundaries_S1,
        cu_seq_lens_k=boundaries_S1,
        max_length_q=row.longest,
        max_length_k=row.longest,
        use_cache=False,
        logits_to_keep=torch.from_numpy(row.predicting_K).to(device),
    ).logits
    targets_K = torch.from_numpy(row.targets_K).to(device)
    return functional.cross_entropy(logits_1KV[0].float(), targets_K, reduction="sum")
