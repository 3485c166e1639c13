"""Lets torchvision load beside a torch it was not compiled for.

timm and open_clip import torchvision, and a torchvision wheel built for CUDA dies on a CPU-only torch with "operator
torchvision::nms does not exist": its compiled half cannot load, yet its Python half declares that operator's shape.
After exactly that failure, and only then, the two operators' schemas are declared and the import is tried again; a
torchvision that works is never touched. (`torchvision.ops.nms` and `torchvision.io` stay unusable; nothing here needs
them: images are decoded by `studies.images`.)
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_SYMPTOM = "torchvision::nms does not exist"
_keep_alive: list[object] = []  # the schemas vanish with their Library


def import_torchvision() -> None:
    """Import torchvision, mending that one failure; call it before the first import of timm or open_clip."""
    if "torchvision" in sys.modules:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _SYMPTOM not in str(error):
            raise
        import torch

        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _keep_alive.append(library)
        importlib.import_module("torchvision")
