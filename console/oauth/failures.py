"""How often an address or a client may fail to prove itself before it has to wait.

Each try costs 100 MB and a tenth of a second (Argon2), whoever asks: the bound is also what keeps the others served.
"""

from __future__ import annotations

from django.core.cache import cache

from kernel.core.errors import RateLimited

WINDOW_SECONDS = 300
MAX_FAILURES_OF_CLIENT = 10
MAX_FAILURES_OF_ADDRESS = 50


class TooManyFailures(RateLimited):
    """The last attempts failed; the next has to wait, right or wrong."""

    code = "too-many-failures"


def _keys(client: str | None, address: str) -> list[tuple[str, int]]:
    of_address = (f"oauth-failures:{address}", MAX_FAILURES_OF_ADDRESS)
    if client is None:
        return [of_address]
    return [(f"oauth-failures:{address}:{client.encode().hex()[:160]}", MAX_FAILURES_OF_CLIENT), of_address]


def check_failures(*, client: str | None = None, address: str) -> None:
    """Raises TooManyFailures if this client from this address, or the address alone, has failed too often."""
    for key, most in _keys(client, address):
        if cache.get(key, 0) >= most:
            raise TooManyFailures(
                f"Too many wrong credentials: wait {WINDOW_SECONDS // 60} minutes, then use the right ones.",
                retry_after_seconds=WINDOW_SECONDS,
            )


def note_failure(*, client: str | None = None, address: str) -> None:
    """Counts one failure."""
    for key, _ in _keys(client, address):
        cache.add(key, 0, timeout=WINDOW_SECONDS)
        try:
            cache.incr(key)
        except ValueError:  # it ended in between
            cache.set(key, 1, timeout=WINDOW_SECONDS)
