"""What share of the device's own matrix-multiply rate an encoder reaches: an absolute figure, for GPUs and CPUs.

    python benchmarks/encoder_mfu.py [--encoder rad_dino] [--batch 64] [--dtype bfloat16] [--compile]

The device's rate is measured, not quoted: the best of several square products in the same dtype. The encoder's work is
counted by torch's FLOP counter on one image (a multiply and an add are two), so the share is of useful arithmetic.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from encoders.registry import load_encoder

MATMUL_SIDES = {"cuda": (4096, 8192, 16384), "cpu": (1024, 2048)}
WARM_UP, PASSES = 3, 7


def best_s(work: Callable[[], object], device: str) -> float:
    """The least of a few wall-clock timings, the device idle before and after each."""
    times = []
    for turn in range(WARM_UP + PASSES):
        if device == "cuda":
            torch.cuda.synchronize()
        begun = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        if turn >= WARM_UP:
            times.append(time.perf_counter() - begun)
    return min(times)


def matmul_flops(device: str, dtype: torch.dtype) -> float:
    """The device's best measured FLOP/s of a square product in this dtype."""
    rates = []
    for side in MATMUL_SIDES[device]:
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        rates.append(2 * side**3 / best_s(lambda a=a, b=b: a @ b, device))
    return max(rates)


@torch.inference_mode()
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="rad_dino")
    parser.add_argument("--batch", type=int, help="images at once; 128 on a GPU, 2 on a CPU")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = getattr(torch, options.dtype)
    batch = options.batch or {"cuda": 128, "cpu": 2}[device]
    encoder = load_encoder(options.encoder, weights="twin")
    side = encoder.image_size_px
    with FlopCounterMode(display=False) as counter:
        encoder.encode(torch.randn(1, 3, side, side), layers=())
    flops_an_image = counter.get_total_flops()

    encoder = encoder.to(device, dtype)
    pixels_BCHW = torch.randn(batch, 3, side, side, device=device, dtype=dtype)
    forward: Callable[[torch.Tensor], torch.Tensor] = torch.compile(encoder) if options.compile else encoder
    images_a_second = batch / best_s(lambda: forward(pixels_BCHW), device)
    peak = matmul_flops(device, dtype)
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{name}: {peak / 1e12:.2f} TFLOP/s measured in {options.dtype} products")
    print(
        f"{options.encoder} at {side} px, batch {batch}{', compiled' if options.compile else ''}: "
        f"{images_a_second:.4g} images/s, {flops_an_image / 1e9:.0f} GFLOP each, "
        f"{images_a_second * flops_an_image / peak:.0%} of the measured rate"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
