"""How fast CheXbert labels: in batches of similar length, one report at a time, and in batches as they come.

    python benchmarks/chexbert_speed.py [--reports 64] [--words 10 150] [--threads 1] [--device auto]

The network has the full size of the published one (BERT-base) and random weights, the reports are invented, no two
alike. "One by one" is a forward pass a report, without padding, as f1chexbert does it; "as they
come" is batches of 18 padded to their longest, as the original label.py does it. All three run in one process on the
same number of threads, the best of the passes counts, and the labels must be the same.

On one core the arithmetic of a BERT-base limits all three: from some 60 tokens on, a single report keeps the core
busy, so batches gain much for short reports only (`--words 5 15`). Larger batches than the labeler's own lose there.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig

from eval.chexbert.labeler import MAX_TOKENS, ChexbertLabeler
from eval.chexbert.model import Chexbert

WORDS = """the lungs are clear there is no a of in with and right left small moderate large effusion pneumothorax
opacity atelectasis consolidation edema cardiomegaly heart size normal unchanged increased decreased basilar apical
tube catheter tip projects over carina acute fracture nodule pleural mediastinum silhouette compared prior seen . ,
""".split()
Codes = npt.NDArray[np.int8]


def invented_labeler(layers: int, device: str) -> ChexbertLabeler:
    """CheXbert of the published width with random weights and a vocabulary of the words above."""
    torch.manual_seed(0)
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    tokens += [f"[unused{number}]" for number in range(30522 - len(tokens))]
    tokenizer = BertWordPieceTokenizer({token: number for number, token in enumerate(tokens)})
    tokenizer.enable_truncation(MAX_TOKENS)
    # Ten times the usual spread: with the usual one all reports would get the same labels.
    model = Chexbert(BertConfig(num_hidden_layers=layers, initializer_range=0.2)).eval()
    for head in model.linear_heads.parameters():
        torch.nn.init.normal_(head)
    return ChexbertLabeler(model.to(device), tokenizer, torch.device(device), "invented", "invented")


def invented_reports(count: int, fewest: int, most: int) -> list[str]:
    """Reports of `fewest` to `most` words."""
    chance = random.Random(0)
    return [" ".join(chance.choices(WORDS, k=chance.randint(fewest, most))) for _ in range(count)]


def one_by_one(labeler: ChexbertLabeler, reports: list[str]) -> Codes:
    """A forward pass a report."""
    return np.concatenate([labeler.label_texts([report]) for report in reports])


def as_they_come(labeler: ChexbertLabeler, reports: list[str]) -> Codes:
    """Batches of 18 in the given order."""
    ids = [labeler.token_ids(report) for report in reports]
    logits = torch.cat([labeler.logits(ids[start : start + 18]) for start in range(0, len(ids), 18)])
    return logits.argmax(dim=-1).to(torch.int8).numpy()


def main() -> int:
    """Print the table; the exit code is 1 when two ways give other labels."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--reports", type=int, default=64)
    options.add_argument("--words", type=int, nargs=2, default=(10, 150), metavar=("FEWEST", "MOST"))
    options.add_argument("--layers", type=int, default=12, help="fewer: a quick look, not the published network")
    options.add_argument("--batch-tokens", type=int, help="of our batches; default: the labeler's own")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--passes", type=int, default=2)
    options.add_argument("--device", default="auto", help="cpu, cuda, or auto")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    device = ("cuda" if torch.cuda.is_available() else "cpu") if given.device == "auto" else given.device
    labeler = invented_labeler(given.layers, device)
    reports = invented_reports(given.reports, *given.words)
    ways: dict[str, Callable[[], Codes]] = {
        "one by one": lambda: one_by_one(labeler, reports),
        "batches of 18 as they come": lambda: as_they_come(labeler, reports),
        "label_texts": lambda: labeler.label_texts(reports, batch_tokens=given.batch_tokens),
    }
    labels: dict[str, Codes] = {}
    wall: dict[str, list[float]] = {way: [] for way in ways}
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    one_by_one(labeler, reports[:2])  # first-use costs are no part of the rate
    for _ in range(given.passes):
        for way, work in ways.items():
            begun, used = time.perf_counter(), time.process_time()
            labels[way] = work()  # ends with the labels on the CPU, so the device has finished
            wall[way].append(time.perf_counter() - begun)
            cpu[way].append(time.process_time() - used)
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {given.threads} thread(s)"
    tokens = np.mean([len(labeler.token_ids(report)) for report in reports])
    print(f"{len(reports)} invented reports of {tokens:.0f} tokens on average, {given.layers} layers, {where}")
    first = next(iter(ways))
    same = all((labels[way] == labels[first]).all() for way in ways)
    for way in ways:
        print(
            f"{way + ':':<32}{len(reports) / min(wall[way]):>9,.1f} reports/s"
            f"{1e3 * min(cpu[way]) / len(reports):>9,.0f} ms CPU a report"
            f"{min(wall[first]) / min(wall[way]):>7.2f} times one by one (CPU time"
            f"{min(cpu[first]) / min(cpu[way]):>6.2f})"
        )
    distinct = len({row.tobytes() for row in labels[first]})
    print(f"labels {'identical' if same else 'DIFFER'} ({distinct} different rows of 14 among {len(reports)} reports)")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
