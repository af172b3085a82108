"""CRLs of every kind over the public callable: names, caching, ranges, and what a process keeps of them."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from cryptography import x509
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel.core.errors import NotFound
from pki import queries, services
from pki.api import shelf, wsgi
from pki.api.shelf import Shelf
from pki.api.stored_bytes import Joined, Octets, Stretch
from pki.core.values import Issuer
from pki.models import Issuer as IssuerRow
from tests.pki.api.test_wsgi import Answer, Clock, call

LEAVES = ["crl", "crl.pem", "delta.crl", "delta.crl.pem", "crl/0", "crl/1", "crl/1.pem", "crls.pem"]


@pytest.fixture
def clock(now: datetime, monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock(now)
    monkeypatch.setattr(wsgi, "utc_now", found)
    return found


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "shelf", Shelf())


@pytest.fixture
def published(ca: Issuer, now: datetime) -> Issuer:
    """The issuing CA with two shards and a delta."""
    IssuerRow.objects.filter(id=ca.id).update(crl_shards=2)
    services.publish_crl(issuer=ca.id, now=now)
    return ca


def get(leaf: str, **headers: str) -> Answer:
    return call("GET", f"/pki/north-ca/{leaf}", b"", **headers)


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_leaf_is_cached_conditionally_and_read_in_parts(leaf: str, published: Issuer, clock: Clock) -> None:
    status, headers, body = get(leaf)
    assert (status, headers["Content-Length"]) == ("200 OK", str(len(body)))
    is_pem = leaf.endswith(".pem")
    assert headers["Content-Type"] == ("application/x-pem-file" if is_pem else "application/pkix-crl")
    assert body.startswith(b"-----BEGIN X509 CRL-----\n" if is_pem else b"\x30")
    assert headers["Cache-Control"] == "max-age=300, public, must-revalidate"
    assert parsedate_to_datetime(headers["Expires"]) > clock.now + timedelta(days=6)
    assert get(leaf, if_none_match=headers["ETag"])[0] == "304 Not Modified"
    assert get(leaf, if_modified_since=headers["Last-Modified"])[0] == "304 Not Modified"
    part = get(leaf, range="bytes=10-99", if_range=headers["ETag"])
    assert (part[0], part[2]) == ("206 Partial Content", body[10:100])
    assert get(leaf, range="bytes=10-99", if_range='"other"')[2] == body
    head = call("HEAD", f"/pki/north-ca/{leaf}")
    assert (head[2], head[1]["Content-Length"]) == (b"", str(len(body)))


def test_no_two_leaves_have_one_entity_tag(published: Issuer) -> None:
    tags = [get(leaf)[1]["ETag"] for leaf in LEAVES]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize(
    "leaf",
    [
        "crl/2",
        "crl/00",
        "crl/-1",
        "crl/",
        "crl/x",
        "crl/99999",
        "crl/123456",
        "delta",
        "delta.pem",
        "crls",
        "crl.pem.pem",
    ],
)
def test_what_there_is_not_is_not_found(leaf: str, published: Issuer) -> None:
    assert get(leaf)[0] == "404 Not Found"


def test_a_first_crl_has_neither_delta_nor_shards(ca: Issuer) -> None:
    assert [get(leaf)[0][:3] for leaf in ("crl", "crls.pem", "delta.crl", "crl/0")] == ["200", "200", "404", "404"]


def test_a_date_counts_only_if_it_is_the_very_one(published: Issuer, clock: Clock) -> None:
    """After a clock was set back, a newer CRL is of an earlier time than the one that the peer has."""
    services.publish_crl(issuer=published.id, now=clock.now + timedelta(hours=1), force=True)
    clock.wait(0.31)
    ahead = get("crl")[1]["Last-Modified"]
    services.publish_crl(issuer=published.id, now=clock.now, force=True)
    clock.wait(0.31)
    status, headers, _ = get("crl", if_modified_since=ahead)
    assert status == "200 OK"
    assert parsedate_to_datetime(headers["Last-Modified"]) < parsedate_to_datetime(ahead)


def test_a_new_edition_is_served_as_a_whole_within_a_third_of_a_second(published: Issuer, clock: Clock) -> None:
    before = {leaf: get(leaf)[1]["ETag"] for leaf in LEAVES}
    services.publish_crl(issuer=published.id, now=clock.now, force=True)
    clock.wait(0.31)
    assert all(get(leaf)[1]["ETag"] != tag for leaf, tag in before.items())
    full, delta = (x509.load_der_x509_crl(get(leaf)[2]) for leaf in ("crl", "delta.crl"))
    numbers = {each.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for each in (full, delta)}
    assert numbers == {3}


def test_all_forms_of_a_crl_are_one_in_memory(published: Issuer, now: datetime) -> None:
    kept = Shelf()
    plain, pem, bundle = (kept.find("north-ca", leaf, now=now).body for leaf in ("crl", "crl.pem", "crls.pem"))
    assert isinstance(plain, Octets)
    assert isinstance(bundle, Joined)
    assert pem._der is bundle.bodies[0]._der is plain.octets  # type: ignore[attr-defined]


def test_without_its_database_a_process_serves_the_bundle_and_its_parts(
    published: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = {leaf: get(leaf)[2] for leaf in LEAVES}

    def away(*_: Any, **__: Any) -> Any:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(shelf, "_read", away)
    clock.wait(3600)
    assert {leaf: get(leaf)[2] for leaf in LEAVES} == bodies


def test_while_one_thread_reads_a_new_crl_the_others_serve_the_old_one(
    published: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, right, reading, go_on = Shelf(), shelf._read, threading.Event(), threading.Event()
    old = kept.find("north-ca", "crl", now=now)

    def slow(*args: Any, **more: Any) -> Any:
        if reading.is_set():
            raise AssertionError("two read at once")
        reading.set()
        go_on.wait(90)
        return _shelved

    _shelved = right("north-ca", "crl", None, now=now)
    monkeypatch.setattr(shelf, "_read", slow)
    later = now + timedelta(seconds=0.5)
    reader = threading.Thread(target=lambda: kept.find("north-ca", "crl", now=later))
    reader.start()
    assert reading.wait(90)
    assert kept.find("north-ca", "crl", now=later) is old
    go_on.set()
    reader.join(90)


def test_who_asks_for_what_is_not_there_keeps_nobody_from_a_new_crl(
    published: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, right, asked, done = Shelf(), shelf._read, threading.Event(), threading.Event()
    old = kept.find("north-ca", "crl", now=now)

    def never(slug: str, leaf: str, shelved: Any, *, now: datetime) -> Any:
        if slug == "nobody":
            asked.set()
            done.wait(90)
            raise NotFound("There is no such issuer.")
        return replace(right(slug, leaf, None, now=now), read_at=now)

    monkeypatch.setattr(shelf, "_read", never)

    def ask() -> None:
        with pytest.raises(NotFound):
            kept.find("nobody", "crl/1", now=now)

    asking = threading.Thread(target=ask)
    asking.start()
    assert asked.wait(90)
    assert kept.find("north-ca", "crl", now=now + timedelta(seconds=0.4)) is not old
    done.set()
    asking.join(90)


def test_a_copy_that_is_not_young_waits_for_the_thread_that_reads(
    published: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Shelf()
    old, later = kept.find("north-ca", "crl", now=now), now + timedelta(seconds=5)
    fresh = replace(shelf._read("north-ca", "crl", None, now=now), read_at=later)
    reading = threading.Event()

    def slow(*_: Any, **__: Any) -> Any:
        assert not reading.is_set(), "two read at once"
        reading.set()
        time.sleep(0.5)
        return fresh

    monkeypatch.setattr(shelf, "_read", slow)
    monkeypatch.setattr(shelf, "LONGEST_WAIT_SECONDS", 90)
    reader = threading.Thread(target=lambda: kept.find("north-ca", "crl", now=later))
    reader.start()
    assert reading.wait(90)
    assert kept.find("north-ca", "crl", now=later) is fresh.document is not old
    reader.join(90)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=9), max_size=5), st.integers(0, 50), st.integers(0, 50))
def test_a_stretch_of_several_bodies_is_that_of_the_whole(parts: list[bytes], one: int, other: int) -> None:
    whole, joined = b"".join(parts), Joined(tuple(map(Octets, parts)))
    first, end = sorted((min(one, len(whole)), min(other, len(whole))))
    assert b"".join(Stretch(joined, first, end)) == whole[first:end]
    assert len(Stretch(joined, first, end)) == end - first


def test_large_bodies_are_given_out_in_pieces() -> None:
    octets = bytes(range(256)) * 10_000
    pieces = [*Stretch(Octets(octets), 1, len(octets) - 1)]
    assert max(map(len, pieces)) == 1 << 20
    assert b"".join(pieces) == octets[1:-1]


def test_the_queries_say_what_is_published(published: Issuer) -> None:
    assert queries.issuers_with_crls(slug="north-ca") == ["north-ca", "north-root"]
    assert queries.issuers_with_crls(slug="nobody") == []
