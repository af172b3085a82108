"""How a device proves itself where it asks for an access token: a JWT by the key of its certificate (RFC 7523 2.2)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from devices.core.proof import SKEW, BadProof, Proof, checked_jti, is_number, read_signed

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MOST_LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAssertion:
    """An assertion whose signature, audience and time were checked. `client` is whom it says that it is of."""

    client: str
    proof: Proof


def verify_assertion(token: str, *, audiences: Collection[str], now: datetime) -> ClientAssertion:
    """The assertion for one of these audiences and this time. Whether the certificate is ours is not asked here.

    `iss` and `sub` are the same; `exp` is at most ten minutes ahead; clocks may differ by five. Raises BadProof.
    """
    chain, claims = read_signed(token)
    if not isinstance(claims, dict):
        raise BadProof("The assertion's payload has to be a JSON object with iss, sub, aud, exp and jti.")
    client = claims.get("sub")
    if not isinstance(client, str) or claims.get("iss") != client:
        raise BadProof("The assertion's iss and sub both have to be the client id, such as north/pump-1.")
    if _sole(claims.get("aud")) not in audiences:
        raise BadProof(f"The assertion is for somebody else: its aud has to be {min(audiences, key=len)}.")
    ends = claims.get("exp")
    if not is_number(ends) or not now - SKEW < _moment(ends, now) <= now + MOST_LIFE + SKEW:
        raise BadProof("The assertion's exp has to be at most ten minutes ahead of our time: set the clock.")
    for name in ("nbf", "iat"):
        begins = claims.get(name, 0)
        if not is_number(begins) or _moment(begins, now) > now + SKEW:
            raise BadProof(f"The assertion's {name} lies ahead of our time: set the clock.")
    proof = Proof(chain=chain, jti=checked_jti(claims.get("jti")), replay_until=_moment(ends, now) + SKEW)
    return ClientAssertion(client=client, proof=proof)


def _sole(audience: object) -> object:
    """The one audience; with several (RFC 7519 4.1.3) another server could use the assertion here."""
    return audience[0] if isinstance(audience, list) and len(audience) == 1 else audience


def _moment(seconds: float, now: datetime) -> datetime:
    """The moment, or one that is far off where the calendar has none such."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return now + timedelta(days=365 if seconds > 0 else -365)
