"""Mends torchvision at its first import, in this process and in those that it starts (`encoders.torchvision_shim`).

setup.sh puts it beside the packages of the report generator as sitecustomize.py, which Python runs at every start:
vLLM looks at models in a process of its own, whose imports nobody else can reach.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType


class _Mending:
    """A finder of "torchvision" alone, which goes away when that is first looked for; then its loader too, which hands
    over what is loaded by then."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  # importlib's signature
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        sys.meta_path.remove(self)
        from encoders.torchvision_shim import import_torchvision

        import_torchvision()
        return spec_from_loader(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = sys.modules[spec.name]
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


sys.meta_path.insert(0, _Mending())
