"""Fetching our own public documents over HTTP, bounded in time and size; never from another host."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

SECONDS = 4.0
MAX_OCTETS = 64 * 1024 * 1024  # a full CRL of a million entries has 38 MB
_CHUNK = 64 * 1024


class NotFetchedError(Exception):
    """A document that could not be had; its text says why, for an operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A document, and how long it took from the first octet sent to the last that came."""

    body: bytes
    elapsed_ms: int


def fetch(url: str, *, base_url: str, body: bytes | None = None, content_type: str = "") -> Fetched:
    """What `url` answers: to a POST of `body`, or to a GET. Raises NotFetchedError.

    Only documents below `<base_url>/pki/` are fetched, whatever stands in a certificate, redirects are not followed,
    and all of it takes `SECONDS` at most.
    """
    base, asked = urlsplit(base_url), urlsplit(url)
    if (asked.scheme, asked.netloc) != (base.scheme, base.netloc) or not asked.path.startswith(f"{base.path}/pki/"):
        raise NotFetchedError(f"{url[:200]} is not an address of this installation, so it is not asked.")
    begun = time.monotonic()
    connection = _connection(base.scheme, asked.hostname or "", asked.port)
    headers = {"Content-Type": content_type} if body is not None else {}
    try:
        connection.request("POST" if body is not None else "GET", asked.path, body=body, headers=headers)
        found = _read(connection, until=begun + SECONDS)
    except TimeoutError as error:
        raise NotFetchedError(f"{asked.netloc} did not answer within {SECONDS:.0f} s.") from error
    except (OSError, HTTPException, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise NotFetchedError(f"{asked.netloc} can not be reached from here: {why}.") from error
    finally:
        connection.close()
    return Fetched(body=found, elapsed_ms=round((time.monotonic() - begun) * 1000))


def _connection(scheme: str, host: str, port: int | None) -> HTTPConnection:
    if scheme == "https":
        return HTTPSConnection(host, port, timeout=SECONDS, context=ssl.create_default_context())
    return HTTPConnection(host, port, timeout=SECONDS)


def _read(connection: HTTPConnection, *, until: float) -> bytes:
    answer = connection.getresponse()
    if answer.status != HTTPStatus.OK:
        raise NotFetchedError(f"The answer was {answer.status} {answer.reason}.")
    parts, size = [], 0
    while part := answer.read1(_CHUNK):
        size += len(part)
        if size > MAX_OCTETS:
            raise NotFetchedError(f"The document is larger than {MAX_OCTETS // 2**20} MB: too much to look at here.")
        if time.monotonic() > until:
            raise TimeoutError
        parts.append(part)
    return b"".join(parts)
