"""Asking what a broker would ask over HTTP, without a server between."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from brokers.api import decide_wsgi


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: str
    body: bytes
    headers: dict[str, str]

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Broker:
    """A broker with a secret, asking at its own path."""

    id: str
    secret: str

    def ask_json(self, path: str, *, hook: str = "", **members: Any) -> Reply:
        """The reply to a JSON object of these members."""
        body = json.dumps(members).encode()
        return ask(f"/decide/{self.id}/{path}", body, secret=self.secret, HTTP_VERNEMQ_HOOK=hook)

    def ask_form(self, path: str, form: str) -> Reply:
        """The reply to a form as it stands on the wire; the secret is in the path."""
        content_type = "application/x-www-form-urlencoded"
        return ask(f"/decide/{self.id}/{self.secret}/{path}", form.encode(), CONTENT_TYPE=content_type)


def ask(
    path: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    secret: str = "",
    by: ModuleType = decide_wsgi,
    **environ: str,
) -> Reply:
    """The reply of the callable that stands before Django's handler."""
    seen: list[Any] = []
    given: dict[str, Any] = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body),
    }  # fmt: skip
    if secret:
        given["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    answer = by.application(given | environ, lambda *said: seen.extend(said))
    return Reply(status=seen[0], body=b"".join(answer), headers=dict(seen[1]))
