from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from kernel.api.failures import (
    MAX_FAILURES_OF_ADDRESS,
    MAX_FAILURES_OF_CLIENT,
    TooManyFailures,
    check_failures,
    note_failure,
)


@pytest.fixture(autouse=True)
def _nobody_failed() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def test_who_takes_another_address_of_the_same_ipv6_network_has_to_wait() -> None:
    for number in range(MAX_FAILURES_OF_CLIENT):
        note_failure(door="sign-in", client="ada", address=f"2001:db8:0:7::{number + 1:x}")
    with pytest.raises(TooManyFailures):
        check_failures(door="sign-in", client="ada", address="2001:db8:0:7:ffff:ffff:ffff:ffff")
    for elsewhere in ("2001:db8:0:8::1", "192.0.2.1", ""):
        check_failures(door="sign-in", client="ada", address=elsewhere)
    check_failures(door="oauth", client="ada", address="2001:db8:0:7::1")
    for number in range(MAX_FAILURES_OF_CLIENT, MAX_FAILURES_OF_ADDRESS):
        note_failure(door="sign-in", client=f"bo-{number}", address=f"2001:db8:0:7:{number:x}::1")
    with pytest.raises(TooManyFailures):
        check_failures(door="sign-in", client="cy", address="2001:db8:0:7::1")


@pytest.mark.parametrize("address", ["192.0.2.1", "fe80::1%eth0", ""])
def test_whoever_fails_from_there_holds_up_nobody_from_elsewhere(address: str) -> None:
    hostile = "\ud800" + "\0\r\n " * 2_000
    for _ in range(MAX_FAILURES_OF_CLIENT):
        note_failure(door="oauth", client=hostile, address=address)
    with pytest.raises(TooManyFailures):
        check_failures(door="oauth", client=hostile, address=address)
    check_failures(door="oauth", client="another", address=address)
    check_failures(door="oauth", client=hostile, address="192.0.2.2")
