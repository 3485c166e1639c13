"""What is known of a published encoder before any weight is read: source, licence, sizes, how to build it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from encoders.contract import Encoder

Size = Literal["full", "tiny"]


@dataclass(frozen=True)
class Licence:
    """Terms of the published weights. must_accept: they bind beyond attribution, so a user has to say yes;
    gated: the publisher hands them out only to those who asked."""

    name: str
    url: str
    must_accept: bool = False
    gated: bool = False


@dataclass(frozen=True)
class Source:
    """Where the weights are published. hub_id: None where they are not on the hub (`url` says where);
    file: the checkpoint in that repository; revision: the commit this spec was written for, where it is known."""

    url: str
    file: str
    hub_id: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Layout:
    """A published naming of the weights, and its translation.

    matches: whether a checkpoint's keys are of this layout. translate: published tensors -> exactly the state dict of
    the encoder that `build` makes; a key it does not know raises ValueError naming it.
    """

    name: str
    matches: Callable[[Collection[str]], bool]
    translate: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


@dataclass(frozen=True)
class EncoderSpec:
    """One published encoder.

    name: the registry's key and the stem of its preprocessing file; image_size_px: the published input;
    build: size, image_size_px -> an encoder with uninitialised or random weights.
    """

    name: str
    title: str
    source: Source
    licence: Licence
    image_size_px: int
    build: Callable[[EncoderSpec, Size, int], Encoder]
    layouts: tuple[Layout, ...]
    citation: str = ""
    notes: tuple[str, ...] = field(default=())
