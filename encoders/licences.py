"""Asks for a yes before weights whose terms bind beyond attribution are used."""

from __future__ import annotations

import os

from encoders.spec import EncoderSpec

ENVIRONMENT = "CARINA_ACCEPT_LICENCE"


class LicenceNotAccepted(ValueError):  # noqa: N818
    """Weights whose terms the user has not agreed to."""


def require_accepted(spec: EncoderSpec, accept_licence: bool) -> None:
    """Pass if the terms bind to attribution only, or if the user agreed: by the argument, or by naming the encoder in
    the environment variable CARINA_ACCEPT_LICENCE (several: separated by commas).

    Raises:
        LicenceNotAccepted: neither; the message has the terms' name and address, and how to say yes.
    """
    licence = spec.licence
    agreed = {name.strip() for name in os.environ.get(ENVIRONMENT, "").split(",")}
    if not licence.must_accept or accept_licence or spec.name in agreed:
        return
    gated = f" The publisher hands them out to those who ask: {spec.source.url}." if licence.gated else ""
    raise LicenceNotAccepted(
        f"the weights of {spec.name} are under {licence.name}, whose terms bind you: {licence.url}.{gated} If you have "
        f"read them and agree: --accept-licence, accept_licence=True, or {ENVIRONMENT}={spec.name}"
    )
