"""What GPUs can do at best, from `gpus.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from llava.config import ConfigError


class Gpu(NamedTuple):
    """bf16_flops: peak of dense bfloat16 products, FLOP/s; memory: bytes; device_names: as CUDA gives them."""

    name: str
    bf16_flops: float
    memory: float
    device_names: tuple[str, ...]


@cache
def known_gpus() -> dict[str, Gpu]:
    rows = tomllib.loads(files("llava.planning").joinpath("gpus.toml").read_text(encoding="utf-8"))
    return {
        name: Gpu(name, row["bf16_flops"], row["memory_gb"] * 1e9, tuple(row["device_names"]))
        for name, row in rows.items()
    }


def gpu(name: str) -> Gpu:
    """
    Raises:
        ConfigError: no such GPU; the message lists those there are.
    """
    if name not in known_gpus():
        raise ConfigError(f"cost.gpu = {name!r}: known are {', '.join(known_gpus())}")
    return known_gpus()[name]


def peak_flops(device_name: str) -> float | None:
    """Peak of the GPU that CUDA calls so, FLOP/s; None where it is not known, and utilisation cannot be told."""
    return next((one.bf16_flops for one in known_gpus().values() if device_name in one.device_names), None)
