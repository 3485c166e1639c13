"""One optimiser step of ours and of transformers' Trainer: useful tokens a CPU second, and memory.

    python benchmarks/train_speed.py [--width 384] [--layers 2] [--studies 9] [--batch 3] [--budget 12288] [--passes 1]

Both train the same CxrLlava (projector and a random Llama; the tower, RAD-DINO's tiny twin at 518 px and so of 1,369
tokens a film, is frozen) on the same studies: one, two and three films in equal shares, about 450 tokens of text, of
which about a third are supervised. float32, one thread, activations checkpointed, AdamW, clipping. The Trainer pads
`batch` studies to the longest, at random and again with group_by_length, and gathers gradients over batches to the same
step; ours packs rows of at most `budget` tokens, about as many as one padded batch has. Each runs in a process of its
own, in turns, there and back where there are passes; the least time counts, and the largest memory. Their losses must
agree, or it was not the same work.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np

FILM_TOKENS = 1369  # of 518 px in patches of 14
VOCABULARY = 270  # or so: small, or the head would weigh more than the 1 % that it weighs in a 13B model
SIDES = {"ours": "ours", "trainer": "Trainer, random batches", "grouped": "Trainer, group_by_length"}


def studies(number: int, image_id: int) -> list[Any]:
    """Examples of the paper's mix; texts of about 450 tokens, log-normal with a spread of 0.35."""
    from llava.dataset.example import Example

    draw = np.random.default_rng(0)
    made = []
    for place in range(number):
        films = 1 + place % 3
        text = int(np.clip(450 * np.exp(0.35 * draw.standard_normal() - 0.35**2 / 2), 120, 1400))
        answer = max(40, text // 3)
        ids = np.concatenate([np.full(films * FILM_TOKENS, image_id), draw.integers(10, 250, text)])
        levels = tuple(draw.integers(0, 256, (518, 518)).astype(np.uint8) for _ in range(films))
        made.append(Example(f"s{place}", ids.astype(np.int64), np.arange(len(ids)) >= len(ids) - answer, levels))
    return [made[place] for place in draw.permutation(number)]


class Work(NamedTuple):
    """What was computed. tokens: padding too; pairs: of a query and a key, in one layer; head_rows: of the head."""

    tokens: int = 0
    pairs: int = 0
    head_rows: int = 0

    def plus(self, tokens: int, pairs: int, head_rows: int) -> Work:
        return Work(self.tokens + tokens, self.pairs + pairs, self.head_rows + head_rows)


def generator(width: int, layers: int, attention: str) -> tuple[Any, Any, Any]:
    """Model, processor and the stage that trains it; the same weights for all sides."""
    from llava.build import build
    from llava.config import EncoderSettings, LanguageModelSettings, ProjectorSettings, StageSettings
    from llava.tiny import tiny_language_model
    from llava.training.parts import set_trainable

    with tempfile.TemporaryDirectory() as folder:
        language_model = tiny_language_model(
            Path(folder) / "lm", ["No effusion."], width=width, layers=layers, heads=8, kv_heads=8, positions=6144
        )
        model, processor = build(
            EncoderSettings(name="rad_dino", weights="tiny", image_size_px=518),
            LanguageModelSettings(path=str(language_model)),
            ProjectorSettings(num_layers=4),
            "findings",
            seed=0,
        )
    stage = StageSettings(name="tune", train=("projector", "language_model"))
    set_trainable(model, stage)
    model.model.language_model.set_attn_implementation(attention)
    return model, processor, stage


def our_step(width: int, layers: int, number: int, budget: int) -> Callable[[], tuple[float, Work]]:
    import torch

    from llava.dataset.batching import pack, pack_row
    from llava.packed_attention import NAME
    from llava.training.objective import supervised_loss
    from llava.training.optim import build_optimizer, set_rates
    from llava.training.parts import checkpoint_activations, training_mode

    model, processor, stage = generator(width, layers, NAME)
    checkpoint_activations(model)
    training_mode(model, stage)
    optimizer = build_optimizer(model, stage)
    set_rates(optimizer, dict.fromkeys(stage.train, stage.learning_rate))
    examples = studies(number, processor.image_token_id)

    def step() -> tuple[float, Work]:
        rows = [
            pack_row([examples[place] for place in row])
            for row in pack([example.num_tokens for example in examples], budget)
        ]
        supervised = sum(len(row.targets_K) for row in rows)
        total, work = 0.0, Work()
        for row in rows:
            lengths = np.diff(row.boundaries_S1).astype(int)
            work = work.plus(row.num_tokens, int((lengths * (lengths + 1) // 2).sum()), len(row.targets_K))
            loss = supervised_loss(model, row, processor.recipe, torch.device("cpu")) / supervised
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), stage.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        return total, work

    return step


def trainers_step(width: int, layers: int, number: int, batch: int, sampling: str) -> Callable[[], tuple[float, Work]]:
    import torch

    from encoders.torchvision_shim import import_torchvision
    from llava.pixels import pixels

    import_torchvision()
    from transformers import Trainer, TrainingArguments

    model, processor, stage = generator(width, layers, "sdpa")
    examples = studies(number, processor.image_token_id)
    work = Work()
    dataset = [{"input_ids": one.input_ids_T, "supervised": one.supervised_T, "levels": one.images} for one in examples]

    def padded(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """To the longest, on the right; padding is masked, and labels are those of the supervised tokens."""
        nonlocal work
        shape = (len(rows), max(len(row["input_ids"]) for row in rows))
        work = work.plus(shape[0] * shape[1], shape[0] * shape[1] ** 2, shape[0] * shape[1])
        ids = torch.full(shape, processor.tokenizer.pad_token_id)
        mask, labels = torch.zeros(shape, dtype=torch.long), torch.full(shape, -100)
        for place, row in enumerate(rows):
            own = torch.from_numpy(row["input_ids"])
            ids[place, : len(own)] = own
            mask[place, : len(own)] = 1
            labels[place, : len(own)] = torch.where(torch.from_numpy(row["supervised"]), own, -100)
        films = list(chain.from_iterable(row["levels"] for row in rows))
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "labels": labels,
            "pixel_values": pixels(films, processor.recipe, torch.device("cpu")),
        }

    def step() -> tuple[float, Work]:
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=batch,
                gradient_accumulation_steps=-(-number // batch),
                max_steps=1,
                learning_rate=stage.learning_rate,
                lr_scheduler_type="constant",
                max_grad_norm=stage.max_grad_norm,
                gradient_checkpointing=True,
                train_sampling_strategy=sampling,
                remove_unused_columns=False,
                use_cpu=True,
                report_to=[],
                save_strategy="no",
                logging_steps=1,
                disable_tqdm=True,
                dataloader_pin_memory=False,
            )
            trainer = Trainer(model=model, args=arguments, train_dataset=dataset, data_collator=padded)
            trainer.train()
        return float(trainer.state.log_history[0]["loss"]), work

    return step


def measure(options: argparse.Namespace) -> dict[str, float]:
    """One step in this process: CPU seconds, loss, work, most memory of the process and what it had before, in MB."""
    import torch

    torch.set_num_threads(1)
    sizes = (options.width, options.layers, options.studies)
    if options.side == "ours":
        step = our_step(*sizes, options.budget)
    else:
        step = trainers_step(*sizes, options.batch, "group_by_length" if options.side == "grouped" else "random")
    before_mb = peak_mb()
    begun = time.process_time()
    loss, work = step()
    cpu_s = time.process_time() - begun
    return {"cpu_s": cpu_s, "loss": loss, "before_mb": before_mb, "peak_mb": peak_mb(), **work._asdict()}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def told(options: argparse.Namespace, found: dict[str, list[dict[str, float]]]) -> str:
    """The printed paragraph."""
    width, layers = options.width, options.layers
    useful = found["ours"][0]["tokens"]
    cpu_s = {side: min(run["cpu_s"] for run in runs) for side, runs in found.items()}
    memory = {side: max(run["peak_mb"] for run in runs) for side, runs in found.items()}
    before = {side: max(run["before_mb"] for run in runs) for side, runs in found.items()}
    losses = [run["loss"] for runs in found.values() for run in runs]
    if max(losses) - min(losses) > 2e-4 * max(losses):
        raise SystemExit(f"the losses differ, so it was not the same work: {losses}")
    text = [
        f"{options.studies} studies of 1 to 3 films, {useful:,.0f} tokens; Llama of {layers} layers, width {width}; "
        f"losses agree ({min(losses):.5f} to {max(losses):.5f})"
    ]
    for side, name in SIDES.items():
        run = found[side][0]
        linear, attention, head = flops(run, width, layers)
        whole = linear + attention + head
        text.append(
            f"{name:<26} {useful / cpu_s[side]:>6.0f} useful tokens/CPU s  peak {memory[side]:>5.0f} MB, "
            f"{memory[side] - before[side]:>5.0f} MB of it in the step  padding {1 - useful / run['tokens']:>4.0%}  "
            f"{whole / 1e12:.1f} TFLOP: layers {linear / whole:.0%}, attention {attention / whole:.0%}, "
            f"head {head / whole:.1%}"
        )
    for side in ("trainer", "grouped"):
        here, at_13b = (
            sum(flops(found[side][0], *sizes)) / sum(flops(found["ours"][0], *sizes))
            for sizes in ((width, layers), (5120, 40, 32_000))
        )
        text.append(
            f"ours against {SIDES[side]}: {cpu_s[side] / cpu_s['ours']:.2f}x useful tokens/s "
            f"(by FLOPs alone {here:.2f}x, and {at_13b:.2f}x at the shape of Vicuna-13B), "
            f"{memory['ours'] / memory[side]:.2f}x memory"
        )
    return "\n".join(text)


def flops(run: dict[str, float], width: int, layers: int, vocabulary: int = VOCABULARY) -> tuple[float, float, float]:
    """Of the layers' matrices, attention and the head: forward, again for the checkpoint, and twice that backward.

    A layer has 4 matrices of width * width and 3 of width * 2.75 width (2.7 in Vicuna-13B); a pair of tokens costs
    4 * width. Attention counts the pairs that are computed: the Trainer's mask hides pairs, it does not skip them.
    """
    linear = 8 * run["tokens"] * layers * (4 + 3 * 2.75) * width**2
    attention = 4 * run["pairs"] * layers * 4 * width
    head = 6 * run["head_rows"] * width * vocabulary
    return linear, attention, head


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--studies", type=int, default=9)
    parser.add_argument("--batch", type=int, default=3)
    parser.add_argument("--budget", type=int, default=12288)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--side", choices=SIDES, help="measure this one in this process")
    options = parser.parse_args()
    if options.side is not None:
        sys.stdout.write(json.dumps(measure(options)))
        return 0
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for number in range(options.passes):
        for side in list(SIDES)[:: 1 if number % 2 == 0 else -1]:
            done = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--side", side],
                check=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    print(told(options, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
