"""FLOPs of training and of generation, from numbers of the architecture alone: no weight is read.

Counted is the work that the model itself asks for, as model FLOPs utilisation (MFU) wants it (Chowdhery et al. 2022,
PaLM, appendix B): matrix products, 2 FLOPs a multiply-add, of tokens that belong to a study. Padding is not in it, nor
what checkpointing computes a second time; that stands apart, for hardware utilisation (HFU).

Of T tokens, N weights, L layers and attention of width A (heads x their width), a language model does
    forward              2 N T + 2 L A T^2    (causal: half of T^2 pairs, scores and weighted sum)
    gradients of inputs  2 N T + 4 L A T^2    (down to the first thing that learns)
    gradients of weights 2 N T                (of those that learn)
in all 6 N T + 6 L A T^2 where all of it learns (Kaplan et al. 2020, table 1, has the first term), and
4 N T + 6 L A T^2 frozen behind a projector that learns. N are the weights of the layers' products; embeddings are
looked up, and the head is multiplied with supervised tokens only, so its weights count for those. Attention is taken as
full and causal in every layer: a model with sliding windows does less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from llava.config import StageSettings

if TYPE_CHECKING:
    from encoders.contract import Encoder


@dataclass(frozen=True)
class LanguageModelShape:
    """Sizes of a causal language model.

    positions: its context before any scaling. weights: all parameters. product_weights: those of its layers that a
    token is multiplied with; of experts, as many as a token meets. linear_sizes: of the layers' linear maps, inputs
    plus outputs summed by the last word of their names, which is what LoRA's size hangs on.
    """

    layers: int
    width: int
    attention_width: int
    kv_width: int
    vocab_size: int
    positions: int
    weights: int
    product_weights: int
    head_weights: int
    linear_sizes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Any) -> LanguageModelShape:
        """Of a transformers config, from a model without memory."""
        from encoders.torchvision_shim import import_torchvision

        import_torchvision()
        import torch
        from transformers import AutoModelForCausalLM

        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
        looked_up = {id(one.weight) for one in model.modules() if isinstance(one, torch.nn.Embedding)}
        head = model.get_output_embeddings()
        products = [
            (name, one)
            for name, one in model.named_parameters()
            if one.dim() > 1 and id(one) not in looked_up and one is not head.weight
        ]
        linear_sizes: dict[str, int] = {}
        for name, one in model.named_modules():
            if isinstance(one, torch.nn.Linear) and one is not head:
                word = name.rpartition(".")[2]
                linear_sizes[word] = linear_sizes.get(word, 0) + one.in_features + one.out_features
        heads = config.num_attention_heads
        head_width = getattr(config, "head_dim", None) or config.hidden_size // heads
        return cls(
            layers=config.num_hidden_layers,
            width=config.hidden_size,
            attention_width=heads * head_width,
            kv_width=(getattr(config, "num_key_value_heads", None) or heads) * head_width,
            vocab_size=config.vocab_size,
            positions=config.max_position_embeddings,
            weights=sum(one.numel() for one in model.parameters()),
            product_weights=sum(int(one.numel() * _share_met(name, config)) for name, one in products),
            head_weights=head.weight.numel(),
            linear_sizes=linear_sizes,
        )

    def lora_weights(self, targets: Sequence[str], rank: int) -> int:
        """Weights of low-rank adapters on the linear maps of these names: rank x (inputs + outputs) each."""
        return rank * sum(self.linear_sizes.get(target, 0) for target in targets)

    def kv_bytes(self, bytes_per_value: int = 2) -> int:
        """Of keys and values that one token leaves in the cache of generation."""
        return 2 * self.layers * self.kv_width * bytes_per_value


def _share_met(name: str, config: Any) -> float:
    """Of weights of this name, what a token is multiplied with: all, or the few experts it is sent to."""
    if ".experts." not in name:
        return 1.0
    experts = getattr(config, "num_local_experts", None) or config.num_experts
    return float(config.num_experts_per_tok / experts)


class EncoderShape(NamedTuple):
    """Sizes of an encoder. flops: of one image, forward; kept_values: outputs of its layers for one image, about what a
    backward pass needs; largest_values: the most that one layer gives."""

    num_tokens: int
    token_width: int
    weights: int
    flops: int
    kept_values: int
    largest_values: int

    @classmethod
    def of(cls, encoder: Encoder, layers: Sequence[int] | None = None, norm: str | None = None) -> EncoderShape:
        """Of an encoder, whose weights become shapes without numbers. layers, norm: as in `EncoderSettings`."""
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        from llava.vision import tokens_of

        outputs: list[int] = []

        def count(_module: Any, _inputs: Any, output: Any) -> None:
            outputs.append(output.numel() if isinstance(output, torch.Tensor) else 0)

        encoder = encoder.to("meta").eval().requires_grad_(False)
        hooks = [one.register_forward_hook(count) for one in encoder.modules() if not list(one.children())]
        pixels_BCHW = torch.empty(1, 3, encoder.image_size_px, encoder.image_size_px, device="meta")
        # no_grad, not inference_mode: the counter's own hooks make views that must have a gradient function
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            tokens_BND = tokens_of(encoder, pixels_BCHW, None if layers is None else list(layers), norm)
        for hook in hooks:
            hook.remove()
        _, num_tokens, width = tokens_BND.shape
        weights = sum(one.numel() for one in encoder.parameters())
        return cls(num_tokens, width, weights, counter.get_total_flops(), sum(outputs), max(outputs))


class Flops(NamedTuple):
    """By part; recomputed: the second forward pass of checkpointed layers, which is no useful work."""

    encoder: float
    projector: float
    language_model: float
    recomputed: float = 0.0

    @property
    def useful(self) -> float:
        return self.encoder + self.projector + self.language_model


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a report generator; the projector has num_layers linear maps."""

    encoder: EncoderShape
    num_layers: int
    language_model: LanguageModelShape

    @property
    def _projector_products(self) -> tuple[int, int]:
        """Weights of its first product, and of all the others."""
        width = self.language_model.width
        return self.encoder.token_width * width, (self.num_layers - 1) * width**2

    @property
    def projector_weights(self) -> int:
        return sum(self._projector_products) + self.num_layers * self.language_model.width  # with biases

    def training(
        self,
        stage: StageSettings,
        *,
        images: float,
        tokens: float,
        lengths2: float,
        supervised_tokens: float,
        checkpointing: bool = True,
    ) -> Flops:
        """Of studies that a stage trains on.

        Args:
            tokens: of the studies, images included, padding not. lengths2: sum of their squared lengths.
            checkpointing: the language model's layers are computed again in the backward pass.
        """
        model = self.language_model
        whole = "language_model" in stage.train and stage.lora is None
        passes = 4 + 2 * whole  # a weight and token: forward, gradient of the input, gradient of the weight
        attention = 2 * model.layers * model.attention_width * lengths2
        adapters = 0 if stage.lora is None else model.lora_weights(stage.lora.targets, stage.lora.rank)
        layers = passes * model.product_weights * tokens + 6 * adapters * tokens + 3 * attention
        head = passes * model.head_weights * supervised_tokens
        return Flops(
            encoder=self.encoder.flops * images * (3 if "encoder" in stage.train else 1),
            projector=self._projector(stage, images * self.encoder.num_tokens),
            language_model=layers + head,
            recomputed=(2 * model.product_weights * tokens + attention) * checkpointing,
        )

    def _projector(self, stage: StageSettings, image_tokens: float) -> float:
        first, others = self._projector_products
        learns, upstream = "projector" in stage.train, "encoder" in stage.train
        passes_first = 2 + 2 * upstream + 2 * learns
        passes_others = 2 + 2 * (upstream or learns) + 2 * learns
        return (passes_first * first + passes_others * others) * image_tokens

    def generating(self, *, images: float, prompt_tokens: float, new_tokens: float) -> Flops:
        """Of one report: the prompt (images included) at once, then token by token with keys and values kept."""
        model = self.language_model
        products = 2 * model.product_weights * (prompt_tokens + new_tokens) + 2 * model.head_weights * new_tokens
        seen = prompt_tokens**2 / 2 + new_tokens * prompt_tokens + new_tokens**2 / 2  # pairs of query and key
        return Flops(
            encoder=self.encoder.flops * images,
            projector=2 * sum(self._projector_products) * images * self.encoder.num_tokens,
            language_model=products + 4 * model.layers * model.attention_width * seen,
        )
