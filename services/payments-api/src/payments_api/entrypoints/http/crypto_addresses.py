"""``/api/payments/crypto/validate-address``: whether a text is an address of a network, before anybody sends to it.

Checksums alone decide; no chain is asked, and nothing is said of whose address it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict

from chassis.errors import InvalidField, NotFound
from chassis.http import ExactRouter
from payments_api.adapters.gateways.crypto.gateway import CryptoGateway
from payments_api.application.gateways import Gateway
from payments_api.entrypoints.http.people import Person

ADDRESS_MAX_CHARS = 200
NETWORK_MAX_CHARS = 64
_NO_NUL = r"^[^\x00]*$"


class ValidatedAddress(BaseModel):
    """``kind`` and ``address``, in its usual form, of a valid one; ``reason`` in words of one that is not."""

    model_config = ConfigDict(frozen=True)

    valid: bool
    network: str
    kind: Literal["p2wpkh", "p2wsh", "p2tr", "p2pkh", "p2sh", "evm"] | None = None
    address: str | None = None
    reason: str | None = None


def routes(gateways: Mapping[str, Gateway]) -> ExactRouter:
    """The router."""
    router = ExactRouter(prefix="/api/payments/crypto", tags=["payments"])
    crypto = next((one for one in gateways.values() if isinstance(one, CryptoGateway)), None)

    @router.get("/validate-address", response_model=ValidatedAddress, summary="Whether a text is an address")
    async def validate_address(
        person: Person,
        network: Annotated[str, Query(min_length=1, max_length=NETWORK_MAX_CHARS, pattern=_NO_NUL)],
        address: Annotated[str, Query(min_length=1, max_length=ADDRESS_MAX_CHARS, pattern=_NO_NUL)],
    ) -> Mapping[str, Any]:
        if crypto is None:
            raise NotFound("unknown_gateway", "Nobody can pay in coins here")
        try:
            found = crypto.validate_address(network, address)
        except InvalidField as refused:
            if refused.field != "address":
                raise InvalidField("network", refused.code, refused.title) from refused
            return {"valid": False, "network": network, "reason": refused.title}
        return {"valid": True, "network": network, "kind": found.kind, "address": found.text}

    return router
