"""OCSP requests as HTTP requests, ready to be sent: by POST and by GET, plain or with a nonce."""

from __future__ import annotations

import base64
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from cryptography import x509

from pki.core import der
from pki.core.ocsp_request import PlainQuestion, issuer_hashes

SAMPLE = 20_000


@dataclass(frozen=True, slots=True)
class Questions:
    """To one responder, at `path`, about certificates of `issuer`."""

    issuer: x509.Certificate
    path: str
    serials: Sequence[int]

    def plain(self, count: int = SAMPLE) -> list[bytes]:
        """By POST, about random certificates, by SHA-1 and without a nonce."""
        return [_post(self.path, octets) for octets in self._octets(count)]

    def by_get(self, count: int = SAMPLE) -> list[bytes]:
        """The same by GET (RFC 6960 A.1)."""
        paths = (quote(base64.b64encode(octets).decode(), safe="") for octets in self._octets(count))
        return [f"GET {self.path}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for path in paths]

    def with_nonce(self, count: int = SAMPLE) -> list[bytes]:
        """By POST, each with a nonce of 32 octets."""
        return [_post(self.path, _add_nonce(octets)) for octets in self._octets(count)]

    def _octets(self, count: int) -> list[bytes]:
        head = PlainQuestion.of(issuer_hashes(self.issuer)).head
        return [head + random.choice(self.serials).to_bytes(20, "big") for _ in range(count)]


def _add_nonce(octets: bytes) -> bytes:
    nonce = der.extension("1.3.6.1.5.5.7.48.1.2", der.octet_string(os.urandom(32)))
    [tbs] = der.read_only(octets).children()
    return der.sequence(der.sequence(tbs.body, der.explicit(2, der.sequence(nonce))))


def _post(path: str, octets: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/ocsp-request\r\n"
    return f"{head}Content-Length: {len(octets)}\r\n\r\n".encode() + octets
