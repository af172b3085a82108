"""What every problem document of RFC 9457 has here."""

from __future__ import annotations

from typing import Any


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The document, which is one, has that code, and says a whole sentence."""
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["code"] == code, document
    assert document["status"] == status
    assert document["detail"].endswith((".", "?", "!")), document["detail"]
    return document
