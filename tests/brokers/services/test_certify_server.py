"""A broker's own certificate from a request, its chain through a rollover as openssl sees it, and the trust bundle."""

from __future__ import annotations

import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from brokers import models, queries, services
from brokers.core.listeners.server_names import NotItsName
from brokers.core.values import Broker, Listener
from kernel.core.clock import utc_now
from pki import queries as pki_queries
from pki import services as pki
from pki.core.values import ReasonCode
from tests.brokers.fleet import Fleet, make_request
from tests.cast import ADA


@pytest.fixture
def broker(fleet: Fleet) -> Broker:
    listeners = [Listener(host="mq.example", port=8883), Listener(host="192.0.2.7", port=8883)]
    models.Broker.objects.create(
        domain_id=fleet.domain.id,
        name="hall-7",
        kind="mosquitto-dynsec",
        connection=b"",
        listeners=[asdict(listener) for listener in listeners],
        created_at=utc_now(),
    )
    return queries.get_broker(name="hall-7")


def certify(fleet: Fleet, broker: Broker, name: str = "hall") -> services.ServerChain:
    _, csr = make_request(fleet.folder, name)
    return services.certify_server(broker=broker.id, csr=csr.read_bytes(), actor=ADA, now=utc_now())


def verifies(folder: Path, *, trust: str, chain: str, name: str) -> bool:
    """Whether openssl, which trusts only `trust`, takes the chain for a server of that name."""
    (folder / "trust.pem").write_text(trust)
    (folder / "chain.pem").write_text(chain)
    kind = "-verify_ip" if name[0].isdigit() else "-verify_hostname"
    words = ["openssl", "verify", "-purpose", "sslserver", kind, name, "-CAfile", str(folder / "trust.pem")]
    words += ["-untrusted", str(folder / "chain.pem"), str(folder / "chain.pem")]
    return subprocess.run(words, capture_output=True, check=False, timeout=120).returncode == 0


def test_certificate_is_good_for_every_listener_and_nothing_else(fleet: Fleet, broker: Broker, tmp_path: Path) -> None:
    assert services.server_chain_of(broker=broker, now=utc_now()) is None

    made = certify(fleet, broker)

    assert services.server_chain_of(broker=broker, now=utc_now()) == made
    assert made.missing == ()
    root = fleet.root.certificate_pem
    for name, good in {"mq.example": True, "192.0.2.7": True, "hall": False, "192.0.2.8": False}.items():
        assert verifies(tmp_path, trust=root, chain=made.chain_pem, name=name) is good


def test_revoked_one_is_not_shown_any_more_and_a_new_listener_is_missing(fleet: Fleet, broker: Broker) -> None:
    first, second = certify(fleet, broker), certify(fleet, broker, "hall-next")
    pki.revoke_certificate(
        certificate=second.certificate.id,
        reason=ReasonCode.SUPERSEDED,
        actor=ADA,
        now=utc_now(),
    )
    models.Broker.objects.update(listeners=[asdict(Listener(host="new.example", port=8883))])

    left = services.server_chain_of(broker=queries.get_broker(name="hall-7"), now=utc_now())

    assert left is not None
    assert left.certificate.id == first.certificate.id
    assert left.missing == ("new.example",)


def test_request_for_anothers_name_issues_nothing(fleet: Fleet, broker: Broker, tmp_path: Path) -> None:
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    words = ["openssl", "req", "-new", *kind]
    words += ["-subj", "/CN=x", "-keyout", str(tmp_path / "x.key"), "-addext", "subjectAltName=DNS:bank.example"]
    csr = subprocess.run(words, capture_output=True, check=True, timeout=120).stdout

    with pytest.raises(NotItsName):
        services.certify_server(broker=broker.id, csr=csr, actor=ADA, now=utc_now())

    assert pki_queries.certificates_of(holder=f"broker:{broker.id}") == []


def test_after_a_rollover_old_and_new_trust_take_the_same_chain(fleet: Fleet, broker: Broker, tmp_path: Path) -> None:
    before = services.trust_bundle_of(broker=broker, now=utc_now())
    root = pki.roll_over_issuer(issuer=fleet.root.id, actor=ADA, now=utc_now()).successor
    staged = services.trust_bundle_of(broker=broker, now=utc_now())
    ca = pki.roll_over_issuer(issuer=fleet.ca.id, actor=ADA, now=utc_now()).successor
    assert root is not None
    assert ca is not None

    made = certify(fleet, broker)

    assert root.certificate_pem in staged.pem, "the new root is handed out before anything hangs on it"
    assert (before.link_count, staged.link_count) == (0, 2)
    assert made.certificate.issuer == ca.id
    assert ca.parent == root.id
    for trust in (fleet.root.certificate_pem, root.certificate_pem, before.pem, staged.pem):
        assert verifies(tmp_path, trust=trust, chain=made.chain_pem, name="mq.example")
