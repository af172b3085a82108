"""Enrolment tokens: `<id>.<secret>`, of which only a keyed hash of the secret is kept."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from uuid import UUID

from devices.core.values import EnrolmentTokenId
from kernel.core.errors import Denied, FieldError, Invalid, Unauthenticated

PURPOSE = "devices.enrolment-token"
MAX_USES, MAX_SECONDS = 1_000_000, 366 * 86_400


class TokenRefused(Unauthenticated):
    """The token is unknown or wrong: which of both is not said."""

    code = "token-refused"


class TokenSpent(Denied):
    """Every use of the token is spent."""

    code = "token-spent"


class TokenExpired(Denied):
    """The token's time is over, or it was revoked."""

    code = "token-expired"


class WrongNetwork(Denied):
    """The token may not be used from there."""

    code = "token-network"


def split_token(token: str) -> tuple[EnrolmentTokenId, str]:
    """Id and secret of a token. Raises TokenRefused."""
    head, _, secret = token.partition(".")
    try:
        return EnrolmentTokenId(UUID(hex=head)), secret
    except ValueError:
        raise refused() from None


def refused() -> TokenRefused:
    """The one answer for every token that is not right."""
    return TokenRefused("The enrolment token is not known: ask for a fresh one.")


def check_networks(networks: Sequence[str]) -> tuple[str, ...]:
    """The networks in CIDR notation, normalised. Raises Invalid with a pointer to each that is not one."""
    found, errors = [], []
    for position, text in enumerate(networks):
        try:
            found.append(str(ipaddress.ip_network(text)))
        except ValueError as error:
            pointer = f"/allowed_networks/{position}"
            errors.append(
                FieldError(pointer=pointer, code="bad-network", detail=f"is no network in CIDR form: {error}")
            )
    if errors:
        raise Invalid("A network is not in CIDR form, such as 10.0.0.0/8.", code="bad-network", errors=tuple(errors))
    return tuple(found)


def check_address(address: str, networks: Sequence[str]) -> None:
    """Raises WrongNetwork unless the address is in one of the networks, or there are none."""
    if not networks:
        return
    try:
        source = ipaddress.ip_address(address)
    except ValueError:
        source = None
    mapped = getattr(source, "ipv4_mapped", None) or source
    if mapped is None or not any(mapped in ipaddress.ip_network(network) for network in networks):
        raise WrongNetwork(f"The token may not be used from {address or 'an unknown address'}: ask for one that may.")
