"""Every encoder at full size against an independent implementation: are the features equal, and which is faster?

    python benchmarks/encoder_speed.py [NAME ...] [--batch 1] [--passes 2]

The independent one (transformers, open_clip) gets random weights, which are written in the published layout and loaded
by `load_encoder` as a user would. Features are compared as max |a - b| / max |b| of the global vector and of the patch
tokens; times are the least of a few CPU-second timings, in turns, one thread, float32. One encoder a process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported
sys.path.insert(0, str(Path(__file__).parents[1]))  # the published layouts are written by the tests' code

import torch
from safetensors.torch import save_file

from encoders.registry import NAMES, encoder_spec, load_encoder


def reference(name: str, image_size_px: int) -> tuple[dict[str, torch.Tensor], Callable[[Any], Any], str]:
    """A published state with random weights, what runs the independent model, and whose it is."""
    if name in {"ark_plus", "medimageinsight", "segformer"}:
        from tests.encoders import published_hierarchical as hierarchical

        make = getattr(hierarchical, name)
        published = make("full", image_size_px) if name == "ark_plus" else make("full")
        return published.state, published.run, "transformers"
    from tests.encoders import published_vit as vit

    if name == "biomedclip":
        model = vit.scramble(vit.open_clip_model("full"))
        return dict(model.state_dict()), lambda pixels: vit.run_open_clip(model, pixels), "open_clip"
    model = vit.scramble(vit.dinov2("full") if name in {"rad_dino", "dinov2"} else vit.siglip(name, "full"))
    with tempfile.TemporaryDirectory() as folder:
        return vit.save(model, Path(folder)), lambda pixels: vit.run_transformers(model, pixels), "transformers"


def cpu_s(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


@torch.inference_mode()
def measure(name: str, batch: int, passes: int) -> str:
    """The printed row of one encoder."""
    torch.set_num_threads(1)
    size_px = encoder_spec(name).image_size_px
    state, run, whose = reference(name, size_px)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "published.safetensors"
        save_file({key: tensor.contiguous().clone() for key, tensor in state.items()}, file)
        del state
        encoder = load_encoder(name, weights=file, accept_licence=True)
    pixels_BCHW = torch.randn(batch, 3, size_px, size_px, generator=torch.Generator().manual_seed(0))
    ours, theirs = encoder.encode(pixels_BCHW, layers=()), run(pixels_BCHW)
    errors = relative(ours.global_BD, theirs.global_BD), relative(ours.tokens_BND, theirs.tokens_BND)
    times = [(cpu_s(lambda: run(pixels_BCHW)), cpu_s(lambda: encoder(pixels_BCHW))) for _ in range(passes)]
    reference_s, our_s = min(t for t, _ in times), min(t for _, t in times)
    return (
        f"{name:<16} {size_px:>4} px {batch / our_s:>7.3f} images/s  {reference_s / our_s:.2f}x {whose:<13} "
        f"global {errors[0]:.1e}  tokens {errors[1]:.1e}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(NAMES))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--passes", type=int, default=2)
    options = parser.parse_args()
    if len(options.names) == 1:
        print(measure(options.names[0], options.batch, options.passes), flush=True)
        return 0
    failed = 0
    for name in options.names:
        command = [sys.executable, __file__, name, "--batch", str(options.batch), "--passes", str(options.passes)]
        failed += subprocess.run(command, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
