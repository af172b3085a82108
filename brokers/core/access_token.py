"""The token that a device shows a broker as its password: a JWT by ES256 (RFC 7519), and nothing else is one.

Brokers compare `username` and `client_id` with the CONNECT, and `aud` with the slug of their domain; `acl` is EMQX's.
`credential` and `epoch` are for our own decisions: which credential proved the device, and how often its tokens were
ended until then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from brokers.core.emqx.rule import EmqxRule, document_of
from brokers.core.token_keys import ALGORITHM
from kernel.core.errors import Conflict

MOST_OCTETS = 8_192
LEEWAY = timedelta(seconds=30)


class TokenTooLarge(Conflict):
    """The device has more rules than fit into a token."""

    code = "token-too-large"


class _Registry(JWSRegistry):
    max_payload_length = MOST_OCTETS


_REGISTRY = _Registry(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What a token says. `domain` is a slug; `acl` None if the token says nothing of what its bearer may do."""

    domain: str
    auth_id: str
    client_id: str
    credential: UUID
    epoch: int
    issued_at: datetime
    expires_at: datetime
    id: str
    acl: tuple[EmqxRule, ...] | None = None


def sign_access_token(token: AccessToken, *, issuer: str, kid: str, key: ECKey) -> str:
    """The token in compact serialisation, of 8,192 octets at most. Raises TokenTooLarge."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": token.auth_id,
        "aud": token.domain,
        "username": token.auth_id,
        "client_id": token.client_id,
        "iat": int(token.issued_at.timestamp()),
        "nbf": int(token.issued_at.timestamp()),
        "exp": int(token.expires_at.timestamp()),
        "jti": token.id,
        "credential": str(token.credential),
        "epoch": token.epoch,
    }
    if token.acl is not None:
        claims["acl"] = [document_of(rule) for rule in token.acl]
    payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()
    text = jws.serialize_compact({"alg": ALGORITHM, "typ": "JWT", "kid": kid}, payload, key, registry=_REGISTRY)
    if len(text) > MOST_OCTETS:
        raise TokenTooLarge(
            f"The rules of this device need a token of {len(text)} octets, and {MOST_OCTETS} is the most: ask with "
            "acl=none where the broker gets its rules another way, or give the device fewer rules."
        )
    return text


def read_access_token(text: str, *, issuer: str, keys: Mapping[str, ECKey], now: datetime) -> AccessToken | None:
    """What the token says, without its `acl`, if one of the keys, by `kid`, signed it and it is in its time.

    None otherwise. Whose it is, and whether it was ended, is not asked here.
    """
    if len(text) > MOST_OCTETS:
        return None
    try:
        found = jws.extract_compact(text.encode(), registry=_REGISTRY)
        header = found.headers()
        if header.keys() != {"alg", "typ", "kid"} or header["alg"] != ALGORITHM or header["typ"] != "JWT":
            return None
        claims = json.loads(jws.deserialize_compact(text, keys[header["kid"]], registry=_REGISTRY).payload)
        token = _token(claims)
    except (JoseError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None
    in_time = token.issued_at <= now + LEEWAY and now < token.expires_at
    return token if in_time and claims.get("iss") == issuer else None


def _token(claims: Mapping[str, Any]) -> AccessToken:
    """What was signed here. Raises one of many errors if it has another form."""
    if claims["username"] != claims["sub"] or claims["nbf"] != claims["iat"]:
        raise ValueError("claims")
    return AccessToken(
        domain=claims["aud"],
        auth_id=claims["sub"],
        client_id=claims["client_id"],
        credential=UUID(claims["credential"]),
        epoch=claims["epoch"],
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        id=claims["jti"],
    )
