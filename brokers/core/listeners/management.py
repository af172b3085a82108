"""What a probe asks of the port by which a broker is managed: whether anybody can, who knows what it came with.

Each question is one request over HTTP, of whose answer the status alone is looked at. EMQX locks an account for ten
minutes after five wrong passwords in five (dashboard.unsuccessful_login_max_attempts), so one that it refused is not
tried again soon.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from brokers.core.emqx.version import has_scopes
from brokers.core.listeners.probe import Aspect, ProbeLine, Verdict
from brokers.core.values import AdapterKind

AGAIN_AFTER = timedelta(minutes=5)
SCHEMES = ("http", "https")
_REFUSALS = (401, 403)
# Where a kind's connection says which port that is; at its top, if not in a part of it.
_PARTS: Mapping[AdapterKind, str] = {
    AdapterKind.EMQX: "",
    AdapterKind.NANOMQ: "",
    AdapterKind.HIVEMQ_ESE_SQL: "rest",
    AdapterKind.HIVEMQ_ESE_FILE: "rest",
    AdapterKind.VERNEMQ_POSTGRESQL: "api",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementPlace:
    """Where a broker is managed; plain HTTP without `ca_pem`."""

    host: str
    port: int
    ca_pem: str = ""

    @property
    def scheme(self) -> str:
        """That of its URL."""
        return SCHEMES[bool(self.ca_pem)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request that should be refused; what to say if it is, or is not, and what to do then."""

    aspect: Aspect
    request: bytes = field(repr=False)
    refused: str
    granted: str
    remedy: str


def place_of(kind: AdapterKind, connection: Mapping[str, Any]) -> ManagementPlace | None:
    """Where that is, if these members, found without error, say so and the kind is asked anything."""
    part = _PARTS.get(kind)
    members = None if part is None else connection.get(part) if part else connection
    if not members:
        return None
    return ManagementPlace(host=members["host"], port=members["port"], ca_pem=members.get("ca_pem") or "")


def questions(
    kind: AdapterKind, place: ManagementPlace, connection: Mapping[str, Any], *, version: str
) -> Iterator[Question]:
    """What to ask there of a broker of that kind and version (empty if unknown), once each."""
    match kind:
        case AdapterKind.EMQX:
            yield _emqx_login(place)
            if has_scopes(version):
                yield _emqx_key(place, f"{connection['api_key']}:{connection['api_secret']}")
        case AdapterKind.NANOMQ:
            yield Question(
                aspect=Aspect.DEFAULT_LOGIN,
                request=_request(place, "GET /api/v4/brokers", account="admin:public"),
                refused="NanoMQ's HTTP API refuses the password that it comes with.",
                granted="NanoMQ's HTTP API lets in admin with the password that it comes with.",
                remedy="Give http_server another password, and the broker's connection the same.",
            )
        case AdapterKind.HIVEMQ_ESE_SQL | AdapterKind.HIVEMQ_ESE_FILE:
            yield Question(
                aspect=Aspect.MANAGEMENT,
                request=_request(place, "GET /api/v1/mqtt/clients?limit=50"),
                refused="HiveMQ's REST API asks who it is.",
                granted="HiveMQ's REST API lets anybody in, who may then disconnect every client.",
                remedy="Set rest-api/auth/enabled in config.xml, and give the security extension a rest-api-pipeline.",
            )
        case AdapterKind.VERNEMQ_POSTGRESQL:
            yield Question(
                aspect=Aspect.MANAGEMENT,
                request=_request(place, "GET /api/v1/cluster/show"),
                refused="VerneMQ's HTTP API asks for a key.",
                granted="VerneMQ's HTTP API does what anybody tells it: whom to disconnect, and how it is configured.",
                remedy="Set http_module.vmq_http_mgmt_api.auth.mode = apikey.",
            )


def judge_answer(question: Question, status: int | None) -> ProbeLine:
    """What to make of the status; None if nobody answered."""
    if status in _REFUSALS:
        return ProbeLine(aspect=question.aspect, verdict=Verdict.GOOD, seen=question.refused)
    if status is not None and status // 100 == 2:
        return ProbeLine(aspect=question.aspect, verdict=Verdict.BAD, seen=question.granted, remedy=question.remedy)
    why = "nobody answered" if status is None else f"it answered with status {status}"
    return ProbeLine(aspect=question.aspect, verdict=Verdict.UNKNOWN, seen=f"That is not known: {why}.")


def refused_logins(lines: Iterable[ProbeLine]) -> dict[Aspect, ProbeLine]:
    """Those of the lines that stand for a password that was refused, which must not be tried again soon."""
    return {line.aspect: line for line in lines if line.aspect is Aspect.DEFAULT_LOGIN and line.verdict is Verdict.GOOD}


def _emqx_login(place: ManagementPlace) -> Question:
    body = json.dumps({"username": "admin", "password": "public"})
    return Question(
        aspect=Aspect.DEFAULT_LOGIN,
        request=_request(place, "POST /api/v5/login", body=body),
        refused="EMQX's dashboard refuses the password that it comes with.",
        granted="EMQX's dashboard lets in admin with the password that it comes with.",
        remedy="Change it (emqx ctl admins passwd admin <new>), and let no device reach the port.",
    )


def _emqx_key(place: ManagementPlace, account: str) -> Question:
    """A list of backups, which is of the scope `system`."""
    return Question(
        aspect=Aspect.KEY_RIGHTS,
        request=_request(place, "GET /api/v5/data/files?page=1&limit=1", account=account),
        refused="Gatehouse's API key is kept from what it is not for.",
        granted="Gatehouse's API key may do more than it is for: what is of the scope system.",
        remedy="Give the key the scopes access_control, connections and monitoring alone.",
    )


def _request(place: ManagementPlace, what: str, *, account: str = "", body: str = "") -> bytes:
    """The octets of a request (RFC 9112), after whose answer the connection ends."""
    name = f"[{place.host}]" if ":" in place.host else place.host
    lines = [f"{what} HTTP/1.1", f"Host: {name}:{place.port}", "Accept: application/json", "Connection: close"]
    if account:
        lines.append(f"Authorization: Basic {base64.b64encode(account.encode()).decode()}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body]).encode("ascii")
