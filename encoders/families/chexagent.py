"""CheXagent's image tower, XraySigLIP: SigLIP ViT-L/16 trained on chest X-rays and reports (Stanford)."""

from __future__ import annotations

from encoders.backbones.siglip_keys import HUB
from encoders.backbones.vit import ViT
from encoders.contract import Pooling
from encoders.spec import EncoderSpec, Licence, Source

_VIT = ViT(
    width=1024,
    depth=24,
    num_heads=16,
    mlp_width=4096,
    patch_px=16,
    stored_grid=32,
    pooling=Pooling.ATTENTION,
    activation="gelu_tanh",
)

SPEC = EncoderSpec(
    name="chexagent",
    title="CheXagent XraySigLIP, ViT-L/16",
    source=Source(
        url="https://huggingface.co/StanfordAIMI/XraySigLIP__vit-l-16-siglip-384__webli",
        file="model.safetensors",
        hub_id="StanfordAIMI/XraySigLIP__vit-l-16-siglip-384__webli",
    ),
    licence=Licence(
        "the model card's (not verified here; take it as non-commercial until you have read it)",
        "https://huggingface.co/StanfordAIMI/XraySigLIP__vit-l-16-siglip-384__webli",
        must_accept=True,
    ),
    image_size_px=512,
    build=_VIT.build,
    layouts=(HUB,),
    citation="Chen et al., A vision-language foundation model to enhance efficiency of chest X-ray interpretation, "
    "arXiv:2401.12208",
    notes=(
        "Takes 512 px, in spite of the 384 in its name.",
        "Its activation is taken to be SigLIP's own (tanh-approximated GELU): the published config was not seen.",
    ),
)
