"""Examples of RFCs and of NIST's PKITS (tests/data/rfc), read by us and by openssl."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from pki.core import der
from pki.core.certificate_text import field_texts
from pki.core.crl_reading import CrlReading, count_repeated, read_crl
from pki.core.earlier_crl import UnfitCrl, merge_crls
from pki.core.key_kinds import kind_of
from pki.core.keys import algorithm_identifier, key_from_der, key_identifier
from pki.core.signatures import is_signed_by
from pki.core.values import ReasonCode

EXAMPLES = Path(__file__).resolve().parents[2] / "data" / "rfc"
CRLS = {  # each with its issuer's certificate
    "deltaCRLCA1CRL.crl": "deltaCRLCA1Cert.crt",
    "deltaCRLCA1deltaCRL.crl": "deltaCRLCA1Cert.crt",
    "onlySomeReasonsCA1compromiseCRL.crl": "onlySomeReasonsCA1Cert.crt",
    "indirectCRLCA5CRL.crl": "indirectCRLCA5Cert.crt",
}
CRL_NUMBER, DELTA_INDICATOR, ISSUING_POINT = (der.oid(f"2.5.29.{arc}") for arc in (20, 27, 28))
REASON = der.oid("2.5.29.21")
REASONS = {  # RFC 5280 5.3.1
    1: "keyCompromise",
    6: "certificateHold",
    8: "removeFromCRL",
}
USAGES = {"Certificate Sign": "keyCertSign", "CRL Sign": "cRLSign"}  # as openssl writes them, and as RFC 5280 4.2.1.3


def openssl(*words: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


@dataclass(frozen=True)
class Shown:
    """A CRL as openssl prints it; reasons in small letters without spaces, since it has words of its own for them."""

    text: str

    def number(self, extension: str) -> int | None:
        found = re.search(rf"X509v3 {extension}:[^\n]*\n\s+(0x[0-9A-F]+|\d+)\n", self.text)
        return int(found[1], 0) if found else None

    @property
    def entries(self) -> list[tuple[int, str]]:
        found = re.findall(
            r"Serial Number: (\w+)\n(?:(?!Serial).*\n)*?\s+X509v3 CRL Reason Code: *\n\s+(.*)\n", self.text
        )
        return [(int(serial, 16), reason.replace(" ", "").lower()) for serial, reason in found]


def shown(name: str) -> Shown:
    return Shown(openssl("crl", "-inform", "DER", "-noout", "-text", "-in", EXAMPLES / name))


def reading_of(name: str) -> CrlReading:
    return read_crl((EXAMPLES / name).read_bytes())


def issuer_of(name: str) -> x509.Certificate:
    return x509.load_der_x509_certificate((EXAMPLES / CRLS[name]).read_bytes())


def number_in(reading: CrlReading, extension: bytes) -> int | None:
    found = reading.extensions.get(extension)
    return None if found is None else der.read_only(found[1]).as_integer()


def entries_in(reading: CrlReading) -> Iterator[tuple[int, str]]:
    begin, end = reading.entries
    for entry in der.read_only(der.sequence(reading.octets[begin:end])).children():
        serial, _, extensions = entry.children()
        for extension in extensions.children():
            oid, *_, value = extension.children()
            if oid.encoded == REASON:
                yield serial.as_integer(), REASONS[der.read_only(value.body).body[0]].lower()


@pytest.mark.parametrize("name", [*CRLS, "LongSerialNumberCACRL.crl"])
def test_crl_of_pkits_has_the_numbers_and_entries_that_openssl_prints(name: str) -> None:
    reading, expected = reading_of(name), shown(name)
    assert expected.entries
    assert list(entries_in(reading)) == expected.entries
    assert number_in(reading, CRL_NUMBER) == expected.number("CRL Number")
    assert number_in(reading, DELTA_INDICATOR) == expected.number("Delta CRL Indicator")
    assert (ISSUING_POINT in reading.extensions) == ("X509v3 Issuing Distribution Point: critical" in expected.text)
    assert count_repeated(reading, entries=len(expected.entries)) == 0


@pytest.mark.parametrize("name", CRLS)
def test_crl_of_pkits_is_signed_by_its_issuer_and_by_no_other(name: str) -> None:
    reading = reading_of(name)
    signed = {
        other: is_signed_by(
            issuer_of(other).public_key(), signature=reading.signature, octets=bytes(reading.to_be_signed)
        )
        for other in CRLS
    }
    assert signed == {other: CRLS[other] == CRLS[name] for other in CRLS}


def test_delta_of_pkits_releases_two_and_stands_on_number_one() -> None:
    reading = reading_of("deltaCRLCA1deltaCRL.crl")
    assert reading.extensions[DELTA_INDICATOR][0]  # critical, RFC 5280 5.2.4
    assert number_in(reading, DELTA_INDICATOR) == 1
    assert [serial for serial, reason in entries_in(reading) if reason == "removefromcrl"] == [4, 6]


def test_full_crl_of_pkits_is_continued_with_what_openssl_prints() -> None:
    name = "deltaCRLCA1CRL.crl"
    crl = x509.load_der_x509_crl((EXAMPLES / name).read_bytes())
    earlier = merge_crls([crl], issuer=issuer_of(name))
    expected = shown(name)
    assert earlier.number == expected.number("CRL Number")
    assert [(entry.serial, entry.reason.value.lower()) for entry in earlier.entries] == expected.entries
    dates = re.findall(r"Revocation Date: (.*) GMT", expected.text)
    assert [f"{entry.revoked_at:%b %e %T %Y}" for entry in earlier.entries] == dates
    assert {entry.serial for entry in earlier.entries if entry.reason is ReasonCode.CERTIFICATE_HOLD} == {4, 5}


@pytest.mark.parametrize("name", [name for name in CRLS if name != "deltaCRLCA1CRL.crl"])
def test_delta_partial_and_indirect_crls_of_pkits_are_not_continued(name: str) -> None:
    crl = x509.load_der_x509_crl((EXAMPLES / name).read_bytes())
    with pytest.raises(UnfitCrl, match="bring the full one"):
        merge_crls([crl], issuer=issuer_of(name))


def test_crl_of_pkits_is_not_continued_by_another_ca() -> None:
    crl = x509.load_der_x509_crl((EXAMPLES / "deltaCRLCA1CRL.crl").read_bytes())
    with pytest.raises(UnfitCrl, match="not signed by this CA"):
        merge_crls([crl], issuer=issuer_of("indirectCRLCA5CRL.crl"))


def test_repeated_serial_number_is_counted_in_others_entries_too() -> None:
    reading = reading_of("deltaCRLCA1CRL.crl")
    begin, end = reading.entries
    entries = reading.octets[begin:end]
    first = entries[: entries[1] + 2]
    twice = replace(reading, octets=entries + first, entries=(0, len(entries) + len(first)))
    assert count_repeated(twice, entries=4) == 1


@pytest.mark.parametrize("name", sorted(set(CRLS.values())))
def test_certificate_of_pkits_is_shown_as_openssl_prints_it(name: str) -> None:
    path = EXAMPLES / name
    found = {field.name: field for field in field_texts(x509.load_der_x509_certificate(path.read_bytes()))}
    names = openssl("x509", "-inform", "DER", "-noout", "-subject", "-issuer", "-nameopt", "RFC2253", "-in", path)
    dates = openssl("x509", "-inform", "DER", "-noout", "-dates", "-dateopt", "iso_8601", "-in", path)
    said = dict(line.split("=", 1) for line in (names + dates.replace(" ", "T")).splitlines())
    assert {field: found[field].values for field in said} == {field: (value,) for field, value in said.items()}
    text = openssl("x509", "-inform", "DER", "-noout", "-text", "-in", path)
    for title, field in (("Subject", "subjectKeyIdentifier"), ("Authority", "authorityKeyIdentifier")):
        [octets] = re.findall(rf"X509v3 {title} Key Identifier: *\n\s+(?:keyid:)?([0-9A-F:]+)", text)
        assert found[field].values == (octets.replace(":", "").lower(),)
    [usages] = re.findall(r"X509v3 Key Usage: critical\n\s+(.*)", text)
    assert found["keyUsage"].values == tuple(USAGES[usage] for usage in usages.split(", "))
    assert found["keyUsage"].critical
    assert found["certificatePolicies"].values == tuple(re.findall(r"Policy: ([0-9.]+)", text))
    [constraints] = re.findall(r"X509v3 Basic Constraints: critical\n\s+(.*)", text)
    assert (found["basicConstraints"].values, found["basicConstraints"].critical) == ((constraints,), True)
    [bits] = re.findall(r"Public-Key: \((\d+) bit\)", text)
    assert found["subjectPublicKeyInfo"].values == (f"rsa-{bits}",)


def ietf_demo() -> x509.Certificate:
    return x509.load_pem_x509_certificate((EXAMPLES / "root-ed25519.pem").read_bytes())


def test_ed25519_certificate_is_read_and_signed_by_itself() -> None:
    certificate = ietf_demo()
    found = {field.name: field.values for field in field_texts(certificate)}
    assert found["subject"] == found["issuer"] == ("CN=IETF Test Demo",)
    assert found["subjectPublicKeyInfo"] == ("ed25519",)
    octets = certificate.tbs_certificate_bytes
    assert is_signed_by(certificate.public_key(), signature=certificate.signature, octets=octets)
    assert not is_signed_by(certificate.public_key(), signature=certificate.signature, octets=octets + b"\0")


def test_certificate_of_rfc_8410_is_signed_by_the_key_that_the_rfc_prints() -> None:
    octets = ssl.PEM_cert_to_DER_cert((EXAMPLES / "ed25519-rfc8410.pem").read_text())
    to_be_signed, _, signature = der.read_only(octets).children()
    signed = to_be_signed.encoded
    assert is_signed_by(ietf_demo().public_key(), signature=signature.body[1:], octets=signed)
    assert not is_signed_by(ietf_demo().public_key(), signature=signature.body[1:], octets=signed[:-1] + b"\0")


def test_key_of_ml_dsa_has_the_public_half_and_the_algorithm_that_others_wrote() -> None:
    key = key_from_der((EXAMPLES / "mldsa44_priv.der").read_bytes())
    octets = (EXAMPLES / "mldsa44_pub.der").read_bytes()
    assert key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == octets
    algorithm, _ = der.read_only(octets).children()
    assert algorithm.encoded == algorithm_identifier(key)  # RFC 9881 2: one identifier for both
    assert kind_of(load_der_public_key(octets)) == "ml-dsa-44"


def test_key_identifier_is_the_one_of_rfc_7093() -> None:
    """Section 3 of the RFC prints this key, and what method 1 makes of it."""
    key = load_der_public_key(
        bytes.fromhex(
            "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
            "7f7f35a79794c950060b8029fc8f363a28f11159692d9d34e6ac948190434735"
            "f833b1a66652dc514337aff7f5c9c75d670c019d95a5d639b72744c64a9128bb"
        )
    )
    assert key_identifier(key).hex() == "bf37b3e5808fd46d54b28e846311bcce1cad2e1a"
