"""Certificates from profiles, as the library reads them; openssl and pkilint judge them in test_issuance.py."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.core import certificates, lint
from pki.core.certificates import (
    BadName,
    KeyNotAccepted,
    Names,
    OutlivesIssuer,
    ProfileEnded,
    new_serial,
    prepare,
    validity,
)
from pki.core.keys import algorithm_identifier
from pki.core.lint import LintFailure
from pki.core.profile import NO_EXPIRY, Attribute, BeyondIssuer, Profile, SubjectPart
from pki.core.profiles import MissingVariable, UnknownProfile, get_profile
from pki.core.to_be_signed import make_form
from tests.pki.conftest import openssl
from tests.pki.core.making import NOW, make_ca, spki_bits_sha256

CA = make_ca()
KEY = ec.generate_private_key(ec.SECP256R1())
DEVICE = {"auth_id": "pump-17", "domain": "north", "id": "0193"}


def build(profile: str = "device", **changed: Any) -> x509.CertificateBuilder:
    kind = get_profile(profile)
    not_before, not_after = validity(kind, now=NOW, ends_by=CA.authority.not_after)
    facts: dict[str, Any] = {
        "profile": kind,
        "names": Names(variables=DEVICE),
        "authority": CA.authority,
        "public_key": KEY.public_key(),
        "serial": new_serial(),
        "not_before": not_before,
        "not_after": not_after,
    }
    return certificates.build(**facts | changed)


def test_serial_numbers_are_positive_have_twenty_octets_and_differ() -> None:
    serials = {new_serial() for _ in range(1_000)}
    assert len(serials) == 1_000
    assert {(serial.bit_length() + 8) // 8 for serial in serials} == {20}  # a sign bit of 0 included
    assert {serial.to_bytes(20, "big")[0] >> 7 for serial in serials} == {0}


def test_key_identifiers_are_cut_sha256() -> None:
    certificate = certificates.sign(build(), CA.key)
    own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert own == spki_bits_sha256(certificate)[:20]  # RFC 7093 2 (1)
    issuers = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert issuers == spki_bits_sha256(CA.certificate)[:20]


def test_a_device_is_named_in_subject_and_uri_and_may_only_authenticate() -> None:
    certificate = certificates.sign(build(), CA.key)
    assert certificate.subject.rfc4514_string() == "CN=pump-17"
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [*alternatives] == [x509.UniformResourceIdentifier("urn:gatehouse:north:device:0193")]
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [*usages] == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_validity_is_whole_seconds_and_never_beyond_the_issuer() -> None:
    now = NOW.replace(microsecond=999_999)
    assert validity(get_profile("device"), now=now, ends_by=None) == (
        NOW - timedelta(minutes=5),
        NOW + timedelta(days=365),
    )
    end = NOW + timedelta(days=1)
    assert validity(get_profile("device"), now=now, ends_by=end)[1] == end


@pytest.mark.parametrize(
    ("not_after", "written"),
    [
        (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), "UTCTIME           :491231235959Z"),
        (datetime(2050, 1, 1, tzinfo=UTC), "GENERALIZEDTIME   :20500101000000Z"),
        (NO_EXPIRY, "GENERALIZEDTIME   :99991231235959Z"),
    ],
)
def test_times_are_encoded_by_the_year(not_after: datetime, written: str) -> None:
    """RFC 5280 4.1.2.5, by the library's builder and by hand."""
    facts: dict[str, Any] = {
        "names": Names(variables=DEVICE),
        "public_key": KEY.public_key(),
        "serial": new_serial(),
        "not_before": datetime(2049, 1, 2, 3, 4, 5, tzinfo=UTC),
        "not_after": not_after,
    }
    device = get_profile("device")
    built = certificates.sign(prepare(profile=device, authority=CA.authority).fill(**facts), CA.key)
    form = make_form(profile=device, authority=CA.authority, algorithm=algorithm_identifier(CA.key))
    for octets in (built.tbs_certificate_bytes, form.fill(**facts)):
        said = openssl("asn1parse", "-inform", "DER", given=octets)
        times = [line.partition("prim: ")[2] for line in said.splitlines() if "TIME" in line]
        assert times == ["UTCTIME           :490102030405Z", written]


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=64))
def test_what_was_put_in_is_read_back(name: str) -> None:
    if not name.isprintable():
        return
    names = Names(variables={"auth_id": name, "domain": name, "id": name})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library counts octets
        read = x509.load_der_x509_certificate(certificates.sign(build(names=names), CA.key).public_bytes(Encoding.DER))
        assert [attribute.value for attribute in read.subject] == [name]
        lint.check(read, profile=get_profile("device"), authority=CA.authority)
    alternatives = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    [uri] = alternatives.get_values_for_type(x509.UniformResourceIdentifier)
    assert [unquote(part) for part in uri.split(":")] == ["urn", "gatehouse", name, "device", name]


def test_a_profile_may_refuse_what_would_outlive_the_issuer_or_end_at_a_day() -> None:
    device = get_profile("device")
    end = NOW + timedelta(days=10)
    with pytest.raises(OutlivesIssuer):
        validity(replace(device, issuer_limits=BeyondIssuer.REFUSE), now=NOW, ends_by=end)
    assert validity(replace(device, validity=end), now=NOW, ends_by=None)[1] == end
    with pytest.raises(ProfileEnded):
        validity(replace(device, validity=NOW), now=NOW, ends_by=None)
    endless = replace(device, validity=NO_EXPIRY)
    assert validity(endless, now=NOW, ends_by=end)[1] == end
    assert validity(replace(endless, issuer_limits=BeyondIssuer.ALLOW), now=NOW, ends_by=end)[1] == NO_EXPIRY
    assert validity(replace(device, backdate=timedelta(0)), now=NOW, ends_by=None)[0] == NOW


def test_a_key_that_a_profile_does_not_take_is_refused() -> None:
    with pytest.raises(KeyNotAccepted, match="takes no ml-dsa-44 key: use ecdsa-p256") as caught:
        build(public_key=mldsa.MLDSA44PrivateKey.generate().public_key())
    assert caught.value.code == "key-not-accepted"


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (Names(variables={**DEVICE, "auth_id": "x" * 65}), "certificate-name"),
        (Names(variables={**DEVICE, "auth_id": ""}), "certificate-name"),
        (Names(variables={**DEVICE, "auth_id": "pump\0.example"}), "certificate-name"),
        (Names(variables={**DEVICE, "auth_id": "pump\n17"}), "certificate-name"),
        (Names(variables={"auth_id": "x"}), "profile-variable"),
    ],
)
def test_a_name_that_can_not_be_is_refused(names: Names, code: str) -> None:
    with pytest.raises((BadName, MissingVariable)) as caught:
        build(names=names)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("dns", "ip"),
    [((), ()), (("no_underscore.example",), ()), (("-x.example",), ()), (("x..example",), ()), (("a" * 64,), ()),
     (("x.example\n",), ()), (("x" + ".abc" * 64,), ()), (("bücher.example",), ()), ((), ("127.0.0.256",)),
     ((), ("x",))],
)  # fmt: skip
def test_a_server_is_named_by_dns_names_and_addresses_that_are_some(dns: tuple[str, ...], ip: tuple[str, ...]) -> None:
    with pytest.raises(BadName):
        build("broker-server", names=Names(variables={"common_name": "mq"}, dns=dns, ip=ip))


def test_a_server_has_its_names_in_order() -> None:
    names = Names(variables={"common_name": "mq"}, dns=("MQ.example", "*.mq.example"), ip=("::1", "192.0.2.1"))
    certificate = certificates.sign(build("broker-server", names=names), CA.key)
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.DNSName) == ["mq.example", "*.mq.example"]
    assert [str(each) for each in found.get_values_for_type(x509.IPAddress)] == ["::1", "192.0.2.1"]


def test_an_unknown_profile_is_told_which_there_are() -> None:
    with pytest.raises(UnknownProfile, match="broker-server, device"):
        get_profile("toaster")


@pytest.mark.parametrize(
    "changed",
    [
        {"validity": timedelta(0)},
        {"name": ""},
        {"key_usage": frozenset({"fly"})},
        {"key_usage": frozenset()},
        {"is_ca": True},
        {"path_length": 0},
        {"extended_key_usage": ()},
    ],
)
def test_a_profile_that_contradicts_itself_is_no_profile(changed: dict[str, Any]) -> None:
    sound: dict[str, Any] = {
        "name": "x",
        "validity": timedelta(days=1),
        "subject_parts": (SubjectPart(attribute=Attribute.COMMON_NAME, value="x"),),
        "key_usage": frozenset({"digital_signature"}),
        "extended_key_usage": (ExtendedKeyUsageOID.CLIENT_AUTH,),
    }
    assert Profile(**sound)
    with pytest.raises(ValueError, match="profile"):
        Profile(**sound | changed)


@pytest.mark.parametrize("profile", ["device", "application", "ocsp-signer", "issuing-ca"])
def test_what_a_profile_makes_passes_the_lint(profile: str) -> None:
    names = Names(variables={**DEVICE, "common_name": "x"})
    lint.check(
        certificates.sign(build(profile, names=names), CA.key), profile=get_profile(profile), authority=CA.authority
    )


Spoil = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


def without(oid: str) -> Spoil:
    """The same certificate without an extension."""

    def strip(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder._extensions = [each for each in builder._extensions if each.oid.dotted_string != oid]
        return builder

    return strip


def added(extension: x509.ExtensionType, *, critical: bool) -> Spoil:
    def add(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder = without(extension.oid.dotted_string)(builder)
        return builder.add_extension(extension, critical=critical)

    return add


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without("2.5.29.14"), "subject key identifier"),
        (without("2.5.29.35"), "authority key identifier"),
        (without("2.5.29.19"), "basic constraints"),
        (without("2.5.29.15"), "key usage"),
        (without("2.5.29.37"), "extended key usage"),
        (without("2.5.29.17"), "subject alternative name"),
        (without("1.3.6.1.5.5.7.1.1"), "issuer's certificate"),
        (without("2.5.29.31"), "where its CRL is"),
        (added(x509.BasicConstraints(ca=True, path_length=None), critical=True), "basic constraints"),
        (added(x509.BasicConstraints(ca=False, path_length=None), critical=False), "wrong criticality"),
        (added(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False), "extended key usage"),
        (added(x509.OCSPNoCheck(), critical=False), "ocsp-nocheck"),
        (added(x509.SubjectKeyIdentifier(b"x"), critical=False), "subject key identifier"),
    ],
)
def test_the_lint_finds_what_is_wrong(spoil: Spoil, told: str) -> None:
    spoiled = certificates.sign(spoil(build()), CA.key)
    with pytest.raises(LintFailure, match=told) as caught:
        lint.check(spoiled, profile=get_profile("device"), authority=CA.authority)
    assert caught.value.code == "certificate-lint"


def test_the_lint_finds_a_life_beyond_the_issuers_and_another_issuer() -> None:
    late = build(not_after=CA.authority.not_after + timedelta(seconds=1))
    with pytest.raises(LintFailure, match="outlives its issuer"):
        lint.check(certificates.sign(late, CA.key), profile=get_profile("device"), authority=CA.authority)
    other = make_ca().authority
    with pytest.raises(LintFailure, match="authority key identifier"):
        lint.check(certificates.sign(build(), CA.key), profile=get_profile("device"), authority=other)
