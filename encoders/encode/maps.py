"""Which feature maps are kept of each image, and under which names they stand in a shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from encoders.config import EncodeSettings

if TYPE_CHECKING:
    from encoders.contract import FeatureMap, Features


class MapChoice(NamedTuple):
    """strides: in pixels, 0 for the encoder's own; layers: 0-based, negative ones from the last; norm: of layers."""

    strides: tuple[int, ...] = ()
    layers: tuple[int, ...] = ()
    norm: str | None = None

    @classmethod
    def of(cls, settings: EncodeSettings) -> MapChoice:
        if settings.maps == "layers":
            return cls(layers=settings.layers, norm=settings.norm)
        if settings.maps == "none":
            return cls()
        return cls(strides=(0,) if settings.maps == "default" else tuple(map(int, settings.maps.split(","))))

    def __bool__(self) -> bool:
        return bool(self.strides or self.layers)

    def pick(self, features: Features) -> dict[str, FeatureMap]:
        """The maps by name: "stride14", "layer11".

        Raises:
            ValueError: the encoder has no such stride, or the norm does not fit a layer.
        """
        by_stride = [features.patches(stride or None) for stride in self.strides]
        by_layer = features.layers(self.layers, norm=self.norm) if self.layers else []
        return {f"stride{one.stride_px}": one for one in by_stride} | {f"layer{one.layer}": one for one in by_layer}
