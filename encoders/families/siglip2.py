"""SigLIP 2 So400m/16 at 512 px, trained on natural images (Google)."""

from __future__ import annotations

from encoders.backbones.siglip_keys import HUB
from encoders.backbones.vit import ViT
from encoders.contract import Pooling
from encoders.spec import EncoderSpec, Licence, Source

_VIT = ViT(
    width=1152,
    depth=27,
    num_heads=16,
    mlp_width=4304,
    patch_px=16,
    stored_grid=32,
    pooling=Pooling.ATTENTION,
    activation="gelu_tanh",
)

SPEC = EncoderSpec(
    name="siglip2",
    title="SigLIP 2, ViT-So400m/16",
    source=Source(
        url="https://huggingface.co/google/siglip2-so400m-patch16-512",
        file="model.safetensors",
        hub_id="google/siglip2-so400m-patch16-512",
        revision="ceea1cba8130d8271436da4828633198c176a775",  # as pinned by several public repositories
    ),
    licence=Licence("Apache-2.0", "https://huggingface.co/google/siglip2-so400m-patch16-512"),
    image_size_px=512,
    build=_VIT.build,
    layouts=(HUB,),
    citation="Tschannen et al., SigLIP 2: Multilingual vision-language encoders with improved semantic understanding, "
    "localization, and dense features, arXiv:2502.14786",
    notes=("The checkpoints of fixed size are of transformers' SiglipModel; Siglip2Model is the NaFlex variant.",),
)
