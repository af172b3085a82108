"""What is to be signed is shown whole, and can not write on the screen anything but its lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from pki.core.signing_words import certificate_lines, crl_lines, visible

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = Ed25519PrivateKey.generate()


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def certificate(*extensions: x509.ExtensionType, subject: str = "a") -> list[str]:
    made = x509.CertificateBuilder(name("root"), name(subject), KEY.public_key(), 1, NOW, NOW + timedelta(1))
    for extension in extensions:
        made = made.add_extension(extension, critical=False)
    return [*certificate_lines(made.sign(KEY, None))]


def crl(*extensions: x509.ExtensionType, entry: x509.ExtensionType | None = None) -> list[str]:
    made = x509.CertificateRevocationListBuilder(name("root"), NOW, NOW + timedelta(1))
    for extension in extensions:
        made = made.add_extension(extension, critical=True)
    revoked = x509.RevokedCertificateBuilder(5, NOW)
    if entry is not None:
        made = made.add_revoked_certificate(revoked.add_extension(entry, critical=False).build())
    return [*crl_lines(made.sign(KEY, None))]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Plant Ä 1", "Plant Ä 1"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\r\nb", r"a\r\nb"),
        ("\u202eb\u2028", r"\u202eb\u2028"),
        ("\ud800", r"\ud800"),
        ("a   b", r"a \x20\x20b"),
    ],
)
def test_only_what_can_be_printed_is_printed(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_subject_moves_no_cursor_and_makes_no_line() -> None:
    lines = certificate(subject="good\x1b[1A\nserial number 2")
    assert lines[0] == r"certificate for CN=good\x1b[1A\nserial number 2"
    assert all(line.isprintable() for line in lines)


def test_each_of_many_names_is_on_a_line_of_its_own() -> None:
    lines = certificate(x509.SubjectAlternativeName([x509.DNSName(f"host-{number}.example") for number in range(200)]))
    assert [line for line in lines if "(DNSName)" in line] == [
        f"2.5.29.17: also named host-{number}.example (DNSName)" for number in range(200)
    ]


def test_names_of_every_sort_are_shown() -> None:
    other = x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x04\x01a")
    names = [x509.DirectoryName(name("b\nc")), x509.RegisteredID(x509.ObjectIdentifier("1.2.4")), other]
    assert certificate(x509.SubjectAlternativeName(names))[-3:] == [
        r"2.5.29.17: also named CN=b\nc (DirectoryName)",
        "2.5.29.17: also named 1.2.4 (RegisteredID)",
        "2.5.29.17: also named 1.2.3 040161 (OtherName)",
    ]


def test_name_constraints_and_policies_are_shown_whole() -> None:
    permitted = [x509.DNSName(f"p{number}.example") for number in range(100)]
    policies = [
        x509.PolicyInformation(x509.ObjectIdentifier(f"1.2.3.{number}"), ["https://cps.example"])
        for number in range(100)
    ]
    lines = certificate(
        x509.NameConstraints(permitted, [x509.DNSName("bad.example")]), x509.CertificatePolicies(policies)
    )
    assert "2.5.29.30: permits p99.example (DNSName)" in lines
    assert "2.5.29.30: excludes bad.example (DNSName)" in lines
    assert "2.5.29.32: policy 1.2.3.99" in lines
    assert lines.count("2.5.29.32: policy's qualifier https://cps.example") == 100


def test_extension_without_words_is_shown_whole() -> None:
    value = bytes(1000) + b"\xff"
    lines = certificate(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), value))
    assert lines[-1] == f"1.2.3.4: unknown here, in hexadecimal {value.hex()}"


def test_extensions_of_a_crl_are_shown() -> None:
    scope = x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier("http://crl.example/1")],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=True,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    lines = crl(x509.CRLNumber(7), x509.DeltaCRLIndicator(3), scope, unknown)
    assert "2.5.29.20, critical: number 7" in lines
    assert "2.5.29.27, critical: a delta CRL: it says only what changed since number 3" in lines
    assert "2.5.29.28, critical: this CRL is at http://crl.example/1 (UniformResourceIdentifier)" in lines
    assert "2.5.29.28, critical: this CRL has certificates of CAs alone" in lines
    assert "1.2.3.4, critical: unknown here, in hexadecimal 0500" in lines


def test_reason_of_an_entry_is_shown() -> None:
    assert (
        crl(entry=x509.CRLReason(x509.ReasonFlags.remove_from_crl))[-1] == "and of it 2.5.29.21: reason removeFromCRL"
    )
