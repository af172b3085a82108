"""How often an address or a client may fail to prove itself at a door before it has to wait.

Where secrets are for people to choose each try costs 100 MB and a tenth of a second (Argon2), whoever asks: the bound
is also what keeps the others served. Of IPv6 whoever has one address has its whole /64 (RFC 4291 2.5.4), so that counts
as one.
"""

from __future__ import annotations

import logging
from ipaddress import IPv6Address, ip_address

from django.core.cache import cache
from redis.exceptions import RedisError

from kernel.core.errors import RateLimited

WINDOW_SECONDS = 300
MAX_FAILURES_OF_CLIENT = 10
MAX_FAILURES_OF_ADDRESS = 50
CACHE_FAULTS = (RedisError, OSError)
"""What all of this raises where nothing can be counted; what happens then is for each door to say."""

log = logging.getLogger(__name__)


class TooManyFailures(RateLimited):
    """The last attempts failed; the next has to wait, right or wrong."""

    code = "too-many-failures"


def check_failures(*, door: str, client: str | None = None, address: str) -> None:
    """Raises TooManyFailures if this client from this address, or the address alone, has failed too often there."""
    if client is not None:
        check_failures_of(door=door, client=client, address=address)
    _check(*_of_address(door, address))


def check_failures_of(*, door: str, client: str, address: str) -> None:
    """Raises TooManyFailures if this client from this address has, whoever else has failed from there."""
    _check(*_of_client(door, client, address))


def note_failure(*, door: str, client: str | None = None, address: str) -> None:
    """Counts one failure."""
    for key, most in [_of_address(door, address), *([] if client is None else [_of_client(door, client, address)])]:
        cache.add(key, 0, timeout=WINDOW_SECONDS)
        try:
            failures = cache.incr(key)
        except ValueError:  # it ended in between
            failures = 1
            cache.set(key, 1, timeout=WINDOW_SECONDS)
        if failures == most:
            log.warning("%s: %s failures from %s, which has to wait for %s s", door, most, address, WINDOW_SECONDS)


def _check(key: str, most: int) -> None:
    if cache.get(key, 0) >= most:
        raise TooManyFailures(
            f"Too many wrong credentials: wait {WINDOW_SECONDS // 60} minutes, then use the right ones.",
            retry_after_seconds=WINDOW_SECONDS,
        )


def _of_address(door: str, address: str) -> tuple[str, int]:
    return f"{door}-failures:{_place(address)}", MAX_FAILURES_OF_ADDRESS


def _of_client(door: str, client: str, address: str) -> tuple[str, int]:
    return f"{door}-failures:{_place(address)}:{client.encode(errors='replace').hex()[:160]}", MAX_FAILURES_OF_CLIENT


def _place(address: str) -> str:
    """The address, or of IPv6 the first of its /64; an empty one stays so."""
    found = ip_address(address) if address else None
    return str(IPv6Address(int(found) >> 64 << 64)) if isinstance(found, IPv6Address) else address
