"""NATS auth callout: what the server asks about a connection, and what it is answered (NATS ADR-26)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from brokers.core.nats.nkeys import AccountKey, BadNkeyError, public_key, verified_claims
from brokers.core.nats.policy import NatsPermissions

_MARK = "#"  # stands in no auth id


@dataclass(frozen=True, slots=True, kw_only=True)
class CalloutRequest:
    """Who knocks. `chain` is PEM, the leaf first, verified by the server; empty without a client certificate.

    `version` is the server's own.
    """

    server_id: str
    user_nkey: str
    kind: str
    client_id: str
    username: str
    address: str
    chain: tuple[str, ...]
    version: str = ""


def parse_request(token: str) -> CalloutRequest:
    """The request, signed by the server that names itself in it. Raises BadNkeyError."""
    claims = verified_claims(token, kind="N")
    try:
        asked = claims["nats"]
        server = asked["server_id"]["id"]
        if claims["iss"] != server or claims["aud"] != "nats-authorization-request":
            raise BadNkeyError("not this server's question")
        public_key(asked["user_nkey"], kind="U")
        client, options = asked.get("client_info") or {}, asked.get("connect_opts") or {}
        chains = (asked.get("client_tls") or {}).get("verified_chains") or [[]]
        return CalloutRequest(
            server_id=server,
            user_nkey=asked["user_nkey"],
            kind=str(client.get("type", "")),
            client_id=str(client.get("mqtt_id", "")),
            username=str(options.get("user") or ""),
            address=str(client.get("host", "")),
            chain=tuple(str(pem) for pem in chains[0]),
            version=str(asked["server_id"].get("version", "")),
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise BadNkeyError("not an authorization request") from error


def grant_digest(granted: NatsPermissions) -> str:
    """16 hex digits that differ when what is granted does."""
    lists = [granted.publish_allow, granted.publish_deny, granted.subscribe_allow, granted.subscribe_deny]
    return hashlib.sha256(json.dumps(lists).encode()).hexdigest()[:16]


def grant_name(auth_id: str, granted: NatsPermissions) -> str:
    """What the server calls the connection's user: whose it is, and which grant it has."""
    return f"{auth_id}{_MARK}{grant_digest(granted)}"


def split_grant_name(name: str) -> tuple[str, str]:
    """Auth id and digest of the grant; the digest is empty for a user that we did not name."""
    auth_id, mark, digest = name.rpartition(_MARK)
    return (auth_id, digest) if mark else (name, "")


def grant(
    request: CalloutRequest,
    *,
    key: AccountKey,
    account: str,
    auth_id: str,
    granted: NatsPermissions,
    expires_at: datetime,
    now: datetime,
) -> str:
    """The answer that admits: MQTT only, both directions spelled out, until `expires_at`.

    NATS 2.15.1 does not hold a callout's grant to its `allowed_connection_types`, so nothing else is ever granted.
    """
    if request.kind != "mqtt":
        raise ValueError("only MQTT is granted")
    user = {
        **_common(request, key, now=now),
        "aud": account,
        "name": grant_name(auth_id, granted),
        "exp": int(expires_at.timestamp()),
        "nats": {
            "type": "user",
            "version": 2,
            "pub": _lists(granted.publish_allow, granted.publish_deny),
            "sub": _lists(granted.subscribe_allow, granted.subscribe_deny),
            "subs": -1,
            "data": -1,
            "payload": -1,
            "allowed_connection_types": ["MQTT"],
        },
    }
    return _answer(request, {"jwt": key.sign(user)}, key=key, now=now)


def refuse(request: CalloutRequest, *, key: AccountKey, why: str, now: datetime) -> str:
    """The answer that refuses; `why` is for the server's log."""
    return _answer(request, {"error": why}, key=key, now=now)


def _answer(request: CalloutRequest, said: Mapping[str, Any], *, key: AccountKey, now: datetime) -> str:
    answer = {"type": "authorization_response", "version": 2, **said}
    return key.sign({**_common(request, key, now=now), "aud": request.server_id, "nats": answer})


def _common(request: CalloutRequest, key: AccountKey, *, now: datetime) -> dict[str, Any]:
    return {"iss": key.public, "sub": request.user_nkey, "iat": int(now.timestamp()), "jti": request.user_nkey}


def _lists(allow: tuple[str, ...], deny: tuple[str, ...]) -> dict[str, list[str]]:
    """Both lists; a server takes an empty allow list for everything, so a deny of everything stands beside it."""
    return {"allow": list(allow), "deny": list(deny) if allow else [">"]}
