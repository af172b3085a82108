"""One request to RabbitMQ's management API, with a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from brokers.core.api_path import path


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One request below `/api/`. `body` is its JSON; None where there is none."""

    method: str
    path: str
    kind: str
    target: str
    summary: str
    body: Mapping[str, Any] | None = None


def delete(what: str, target: str, *names: str) -> ApiCall:
    """The request that ends what these names lead to, which belongs to the account `target`."""
    summary = {
        "user": f"Delete the account {target}, which no device has any more.",
        "entry": f"Keep {target} out until it is disconnected.",
        "permission": f"Take from {target} what it may do in the virtual host {names[1]!r}.",
        "connection": f"Close the connections of {target}, which remember what it could do.",
        "queue": f"Delete a queue of {target}, which may not have what it gets there.",
        "subscription": f"End a subscription of {target} that is allowed no more.",
    }[what]
    return ApiCall(method="DELETE", path=path(*names), kind=f"delete-{what}", target=target, summary=summary)
