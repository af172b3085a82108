"""What policy takes from a device's certificate: the engine and the database take the same."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from acl.core.analysis_conditions import Same
from acl.core.values import CertificateFields
from devices.queries import Reached, sample_reached, subject_of
from devices.services import Enrolment, renew_credential
from kernel.core.clock import utc_now
from pki import services as pki
from pki.core.profile_documents import profile_document
from pki.core.profiles import PROFILES
from pki.core.values import ReasonCode
from tests.cast import ADA
from tests.devices.factory import Factory
from tests.devices.openssl import openssl

Pair = tuple[str, str]
NAMES = ("cn", "serial", "o", "ou", "san_uri", "san_dns")


def give_names(factory: Factory, subject: Sequence[Pair], alternative: Sequence[Pair] = ()) -> None:
    """Certificates of devices have these from now on."""
    names = {
        "subject": [{"attribute": attribute, "value": value} for attribute, value in subject],
        "alternative_names": [{"kind": kind, "value": value} for kind, value in alternative],
    }
    document = {**profile_document(PROFILES["device"]), **names}
    pki.save_profile(domain=factory.domain, name="device", document=document, actor=ADA, now=factory.now)


def fields(factory: Factory, made: Enrolment) -> CertificateFields:
    """Those of the device, on which the engine and the database agree."""
    found = subject_of(device=made.device.id, now=utc_now()).principal.certificate
    assert found is not None
    for name in NAMES:
        for value in {getattr(found, name), "something else"}:
            same = Same(((f"cert.{name}",), "!"), (f"{value}!",))
            reached = sample_reached(Reached(domain=factory.domain, condition=same, now=utc_now()), limit=9)
            assert (made.device.id in reached) is (value == getattr(found, name)), name
    return found


def renew(factory: Factory, shown: Enrolment) -> Enrolment:
    chain = x509.load_pem_x509_certificates(shown.certificate.pem.encode())
    return renew_credential(chain=chain, csr=factory.workshop.csr(), address="192.0.2.7", now=factory.now)


def test_they_are_what_the_certificate_says(north: Factory) -> None:
    give_names(
        north,
        [("CN", "p-${auth_id}"), ("O", "Acme"), ("OU", "Hall 2")],
        [("uri", "urn:acme:${auth_id}"), ("dns", "${auth_id}.north.example")],
    )
    made = north.enroll("pump-17")
    shown = ("-noout", "-serial", "-subject", "-ext", "subjectAltName")
    said = openssl("x509", *shown, given=made.certificate.pem.encode())
    assert "CN = p-pump-17, O = Acme, OU = Hall 2" in said
    assert "DNS:pump-17.north.example" in said
    serial = said.partition("serial=")[2].partition("\n")[0].lower()
    assert fields(north, made) == CertificateFields(
        cn="p-pump-17",
        serial=serial,
        o="Acme",
        ou="Hall 2",
        san_uri="urn:acme:pump-17",
        san_dns="pump-17.north.example",
    )


def test_a_certificate_without_names_gives_none_and_not_those_of_the_register(north: Factory) -> None:
    give_names(north, [("serialNumber", "${auth_id}")])
    made = north.enroll("pump-17")
    assert fields(north, made) == CertificateFields(serial=made.certificate.serial_hex)


def test_of_several_names_of_a_kind_none_is_taken(north: Factory) -> None:
    give_names(north, [("CN", "${auth_id}"), ("OU", "a"), ("OU", "b")], [("dns", "a.example"), ("dns", "b.example")])
    made = north.enroll("pump-17")
    assert fields(north, made) == CertificateFields(cn="pump-17", serial=made.certificate.serial_hex)


def test_the_newest_certificate_has_the_last_word_while_the_old_one_is_good_still(north: Factory) -> None:
    give_names(north, [("CN", "${auth_id}"), ("O", "Old"), ("OU", "Hall 2")])
    first = north.enroll("pump-17")
    give_names(north, [("CN", "${auth_id}"), ("O", "New")])
    second = renew(north, first)
    expected = CertificateFields(cn="pump-17", serial=second.certificate.serial_hex, o="New")
    assert fields(north, first) == expected


def test_a_revoked_or_held_certificate_gives_nothing_and_neither_does_the_one_before(north: Factory) -> None:
    first = north.enroll("pump-17")
    newest = renew(north, first).certificate.id
    pki.hold_certificate(certificate=newest, actor=ADA, now=north.now)
    assert fields(north, first) == CertificateFields()
    pki.release_certificate(certificate=newest, actor=ADA, now=north.now)
    assert fields(north, first).cn == "pump-17"
    pki.revoke_certificate(certificate=newest, reason=ReasonCode.SUPERSEDED, actor=ADA, now=north.now)
    assert fields(north, first) == CertificateFields()
