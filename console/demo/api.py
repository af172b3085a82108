"""The REST API as the demonstration's factory and operator see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from kernel.core.errors import DomainError


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What a device keeps of its enrolment. `chain` and `trust` are PEM."""

    id: str
    name: str
    key: bytes
    chain: str
    trust: str


class Api:
    """Calls with an application's token. Raises DomainError with the problem's own sentence."""

    def __init__(self, *, url: str, client_id: str, client_secret: str) -> None:
        self._url = url
        self._session = requests.Session()
        answer = self._session.post(
            f"{url}/oauth/token/",
            data={"grant_type": "client_credentials"},
            auth=(client_id, client_secret),
            timeout=30,
        )
        self._session.headers["Authorization"] = f"Bearer {_body(answer)['access_token']}"

    def post(self, path: str, sent: dict[str, Any]) -> dict[str, Any]:
        """The answer's body."""
        return _body(self._session.post(f"{self._url}/api/v1/{path}", json=sent, timeout=30))

    def get(self, path: str) -> dict[str, Any]:
        """The answer's body."""
        return _body(self._session.get(f"{self._url}/api/v1/{path}", timeout=30))

    def enroll(self, *, token: str, name: str, key: bytes, csr: str, site: str) -> Enrolled:
        """The device as the factory sees it: the token is all it has."""
        answer = requests.post(
            f"{self._url}/api/v1/enroll/",
            json={"csr": csr, "name": name, "attributes": {"site": site}},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        body = _body(answer)
        chain = body["certificate"] + body["chain"]
        return Enrolled(id=body["device"], name=name, key=key, chain=chain, trust=body["trust_bundle"])


def _body(answer: requests.Response) -> dict[str, Any]:
    if answer.status_code >= 400:
        raise DomainError(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:500]}")
    body: dict[str, Any] = answer.json()
    return body
