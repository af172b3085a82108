"""Lines of the security extension's access log: the one that is published, others like it, and forged ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.core.access.reasons import AccessAction, AccessReason
from brokers.core.hivemq.log import read_line
from brokers.core.values import AccessKind, BrokerEvent

WHEN = datetime(2025, 4, 17, 8, 15, 23, 456_000, tzinfo=UTC)
NOW = WHEN + timedelta(minutes=1)
HEAD = "2025-04-17 08:15:23,456 UTC - access."
SUCCEEDED = f"{HEAD}authorization-succeeded - Client succeeded authorization: ID "
FAILED = f"{HEAD}authentication-failed - Client failed authentication: ID "


def read(line: str, *, is_cut: bool = False) -> BrokerEvent:
    found = read_line(line, not_before=WHEN - timedelta(days=1), now=NOW, is_cut=is_cut)
    assert found is not None
    return found


def test_the_published_line_is_one_who_was_let_in_and_opens_no_session() -> None:
    assert read(SUCCEEDED + "SENSOR_UNIT_001, IP 192.0.2.7, whatever it says") == BrokerEvent(
        at=WHEN,
        kind=AccessKind.ALLOWED,
        action=AccessAction.CONNECT,
        client_id="SENSOR_UNIT_001",
        address="192.0.2.7",
        detail="authorization-succeeded",
    )


@pytest.mark.parametrize("name", ["authentication-failed", "authorization-failed"])
def test_what_failed_is_refused(name: str) -> None:
    found = read(f"{HEAD}{name} - Client failed: ID p-1, IP 2001:db8::7")
    assert (found.kind, found.reason) == (AccessKind.REFUSED, AccessReason.NOT_AUTHORISED)
    assert (found.client_id, found.address, found.detail) == ("p-1", "2001:db8::7", name)


@pytest.mark.parametrize(
    "line",
    [
        "authorization-succeeded - Control Center user succeeded authorization: admin",
        "authorization-succeeded-not - Client succeeded authorization: ID p-1",
        "permission-denied - Client p-1 succeeded",
        "authorization.succeeded - Client succeeded authorization: ID p-1",
        "authorization-skipped - ",
        "authorization-succeeded - Client a: b: ID p-1",
    ],
)
def test_what_is_not_known_is_kept_word_for_word_and_is_no_success(line: str) -> None:
    found = read(HEAD + line)
    assert (found.kind, found.action, found.reason) == (AccessKind.OTHER, None, None)
    name, _, text = line.partition(" - ")
    assert found.detail == f"{name}: {text}"


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ("p-1", ("p-1", "")),
        ("a, b, IP 192.0.2.7", ("a, b", "192.0.2.7")),
        ("a: ID b, IP 192.0.2.7", ("a: ID b", "192.0.2.7")),
        ("p-1, IP /192.0.2.7", ("p-1", "192.0.2.7")),
        ("p-1, IP somewhere", ("p-1", "")),
        ("admin, IP 198.51.100.1, IP 192.0.2.7", ("", "")),  # whose is which?
        ("p-1, IP 192.0.2.7, username x, IP 198.51.100.1", ("", "")),
        ("admin, whatever", ("", "")),
        ("admin\n" + SUCCEEDED + "root, IP 192.0.2.7", ("admin\n" + SUCCEEDED + "root", "192.0.2.7")),
    ],
)
def test_client_id_that_looks_like_the_rest_of_a_line_names_nobody_else(told: str, named: tuple[str, str]) -> None:
    found = read(FAILED + told)
    assert found.kind is AccessKind.REFUSED
    assert (found.client_id, found.address) == named
    assert found.detail == "authentication-failed" + ("" if named[0] else f": Client failed authentication: ID {told}")


def test_line_that_was_cut_names_nobody() -> None:
    assert read(FAILED + "admin, IP 198.51.100.1, and on", is_cut=True).client_id == ""


@pytest.mark.parametrize(
    "line",
    [
        "",
        "p-1, IP 192.0.2.7",
        " " + SUCCEEDED + "p-1",
        SUCCEEDED.replace("UTC", "CET") + "p-1",
        SUCCEEDED.replace("2025-04-17", "2025-02-30") + "p-1",
        SUCCEEDED.replace("access.", "audit.") + "p-1",
        "\tat com.hivemq.Something(Something.java:1)",
    ],
)
def test_what_is_no_line_of_it_is_none(line: str) -> None:
    assert read_line(line, not_before=WHEN, now=NOW) is None


def test_a_time_before_the_last_line_or_to_come_is_not_believed() -> None:
    assert read(SUCCEEDED.replace("2025", "1999") + "p-1").at == WHEN - timedelta(days=1)
    assert read(SUCCEEDED.replace("2025", "9999") + "p-1").at == NOW


@given(st.text(max_size=60), st.sampled_from([SUCCEEDED, FAILED]))
def test_whatever_a_client_is_called_is_told_as_it_is_or_not_at_all(client: str, head: str) -> None:
    found = read(f"{head}{client}, IP 192.0.2.7, and more")
    assert (found.client_id, found.address) in {(client, "192.0.2.7"), ("", "")}
    assert found.kind is (AccessKind.ALLOWED if head is SUCCEEDED else AccessKind.REFUSED)
