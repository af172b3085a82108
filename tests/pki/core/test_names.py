"""Names in certificates: their alphabets and bounds, how templates are filled, and what who asks may choose."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.core import certificates
from pki.core.certificates import Names, new_serial, subject_text
from pki.core.filling import AskedNames, alternative_names_of, subject_of
from pki.core.names import MAKERS, BadName, hardware_module, subject_attribute, subtree
from pki.core.profile import Attribute, NameKind, NamePart, Profile, Requestable, SubjectPart
from tests.pki.conftest import openssl
from tests.pki.core.making import NOW, make_ca

CA = make_ca()


def profile(*subject: tuple[Attribute, str], **members: Any) -> Profile:
    found: dict[str, Any] = {
        "name": "x",
        "validity": timedelta(days=1),
        "subject_parts": tuple(SubjectPart(attribute=attribute, value=value) for attribute, value in subject),
        "key_usage": frozenset({"digital_signature"}),
        "extended_key_usage": (ExtendedKeyUsageOID.CLIENT_AUTH,),
    }
    return Profile(**found | members)


def issued(kind: Profile, **variables: str) -> x509.Certificate:
    builder = certificates.build(
        profile=kind, names=Names(variables=variables), authority=CA.authority, public_key=CA.key.public_key(),
        serial=new_serial(), not_before=NOW, not_after=NOW + timedelta(days=1),
    )  # fmt: skip
    return certificates.sign(builder, CA.key)


@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_a_common_name_has_64_characters_and_not_octets() -> None:
    """RFC 5280 A.1: ub-common-name counts characters; the library counts octets of UTF-8."""
    kind = profile((Attribute.COMMON_NAME, "${name}"))
    for name in ("ü" * 64, "泵" * 64, "🦀" * 64):
        pem = issued(kind, name=name).public_bytes(Encoding.PEM)
        said = openssl("x509", "-noout", "-subject", "-nameopt", "utf8,sep_comma_plus", given=pem)
        assert said.strip() == f"subject=CN={name}"
    with pytest.raises(BadName, match="64 characters"):
        issued(kind, name="ü" * 65)


def test_each_attribute_is_encoded_as_its_standard_says() -> None:
    """UTF8String but for C, serialNumber and dnQualifier (PrintableString) and DC (IA5String), RFC 5280 A.1."""
    values = {
        Attribute.COUNTRY: "DE", Attribute.STATE: "Bayern", Attribute.LOCALITY: "Aying", Attribute.ORGANIZATION: "A",
        Attribute.ORGANIZATIONAL_UNIT: "B", Attribute.DOMAIN_COMPONENT: "example", Attribute.USER_ID: "u",
        Attribute.TITLE: "T", Attribute.DN_QUALIFIER: "q", Attribute.SERIAL_NUMBER: "SN-1", Attribute.COMMON_NAME: "c",
    }  # fmt: skip
    pem = issued(profile(*values.items())).public_bytes(Encoding.PEM)
    said = openssl("x509", "-noout", "-subject", "-nameopt", "show_type,sep_comma_plus,sname", given=pem)
    assert said.strip() == (
        "subject=C=PRINTABLESTRING:DE,ST=UTF8STRING:Bayern,L=UTF8STRING:Aying,O=UTF8STRING:A,OU=UTF8STRING:B,"
        "DC=IA5STRING:example,UID=UTF8STRING:u,title=UTF8STRING:T,dnQualifier=PRINTABLESTRING:q,"
        "serialNumber=PRINTABLESTRING:SN-1,CN=UTF8STRING:c"
    )


def test_a_subject_is_told_as_rfc_4514_writes_it() -> None:
    parts = ((Attribute.ORGANIZATION, "Acme, I."), (Attribute.SERIAL_NUMBER, "1"), (Attribute.COMMON_NAME, "#a+b"))
    subject = subject_of(profile(*parts), {})
    assert subject_text(subject) == r"CN=\#a\+b,serialNumber=1,O=Acme\, I."


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        (Attribute.COMMON_NAME, ""),
        (Attribute.COMMON_NAME, "a\0b"),
        (Attribute.COMMON_NAME, "a\u202eb"),
        (Attribute.COUNTRY, "de"),
        (Attribute.COUNTRY, "DEU"),
        (Attribute.SERIAL_NUMBER, "a_b"),
        (Attribute.SERIAL_NUMBER, "ü"),
        (Attribute.DN_QUALIFIER, "a@b"),
        (Attribute.DOMAIN_COMPONENT, "a.b"),
        (Attribute.LOCALITY, "x" * 129),
        (Attribute.ORGANIZATION, "x" * 65),
    ],
)
def test_an_attribute_beyond_its_bounds_is_refused(attribute: Attribute, value: str) -> None:
    with pytest.raises(BadName) as caught:
        subject_attribute(attribute, value)
    assert caught.value.detail.endswith(".")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (NameKind.DNS, "a_b.example"), (NameKind.DNS, "*.*.example"), (NameKind.DNS, "a.*.example"),
        (NameKind.IP, "010.0.0.1"), (NameKind.IP, "10.0.0.0/8"), (NameKind.IP, "::1%eth0"),
        (NameKind.EMAIL, "a"), (NameKind.EMAIL, "a@"), (NameKind.EMAIL, ".a@b.example"), (NameKind.EMAIL, "a b@c.d"),
        (NameKind.EMAIL, "ä@b.example"), (NameKind.URI, "/path"), (NameKind.URI, "urn:ä"), (NameKind.URI, "urn:a b"),
        (NameKind.URI, "urn:%zz"), (NameKind.URI, "http://[x"), (NameKind.URI, "http://a]/"), (NameKind.URI, "http://a:x/"),
        (NameKind.URI, "http://a:65536/"), (NameKind.REGISTERED_ID, "1"), (NameKind.REGISTERED_ID, "9.9.9"),
    ],
)  # fmt: skip
def test_a_name_that_is_none_is_refused(kind: NameKind, value: str) -> None:
    with pytest.raises(BadName) as caught:
        MAKERS[kind](value)
    assert caught.value.code == "certificate-name"


def test_hardware_is_named_as_rfc_4108_says() -> None:
    part = NamePart(kind=NameKind.HARDWARE_MODULE, value="SN-7", hardware_type="1.3.6.1.4.1.32473.1")
    pem = issued(profile(alternative_names=(part,))).public_bytes(Encoding.PEM)
    said = openssl("x509", "-noout", "-subject", "-ext", "subjectAltName", given=pem)
    assert said.startswith("subject=\n")  # empty, so that the other names are critical (RFC 5280 4.2.1.6)
    assert "X509v3 Subject Alternative Name: critical" in said
    octets = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    [name] = octets.get_values_for_type(x509.OtherName)
    # SEQUENCE { OID 1.3.6.1.4.1.32473.1, OCTET STRING "SN-7" }: 32473 = 1 * 128^2 + 125 * 128 + 89
    assert name.value == bytes.fromhex("301106092b0601040181fd59010404534e2d37")


@pytest.mark.parametrize("serial", ["", "x" * 65, "a\nb"])
def test_hardware_without_a_serial_number_is_refused(serial: str) -> None:
    with pytest.raises(BadName, match="serial number"):
        hardware_module("1.3.6.1.4.1.32473.1", serial)


URI = NamePart(kind=NameKind.URI, value="urn:x:${domain}:device:${id}")


@settings(deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_a_variable_adds_no_part_to_a_uri(domain: str, id: str) -> None:
    if any(0xD800 <= ord(letter) < 0xE000 for letter in domain + id):
        return
    [name] = alternative_names_of(profile(alternative_names=(URI,)), Names(variables={"domain": domain, "id": id}))
    parts = str(name.value).split(":")
    assert len(parts) == 5
    assert all(letter.isascii() and (letter.isalnum() or letter in "-._~%") for letter in parts[2] + parts[4])


def test_a_variable_makes_no_wildcard() -> None:
    part = NamePart(kind=NameKind.DNS, value="${name}.devices.example")
    kind = profile(alternative_names=(part,))
    assert alternative_names_of(kind, Names(variables={"name": "a"})) == [x509.DNSName("a.devices.example")]
    with pytest.raises(BadName, match="asterisk"):
        alternative_names_of(kind, Names(variables={"name": "*"}))


def chosen(*asked: Requestable, variables: dict[str, str] | None = None, **names: Any) -> list[Any]:
    kind = profile((Attribute.COMMON_NAME, "x"), requestable=asked)
    return [name.value for name in alternative_names_of(kind, Names(variables=variables or {}, **names))]


def test_names_that_are_given_stand_before_those_that_a_request_asks_for() -> None:
    dns, asked = Requestable(kind=NameKind.DNS), AskedNames(dns=("b.example",), ip=("192.0.2.1",))
    assert chosen(dns, asked=asked) == ["b.example"]
    assert chosen(dns, dns=("a.example", "A.example"), asked=asked) == ["a.example"]
    assert chosen(asked=asked) == []


def test_nobody_asks_for_the_name_that_says_who_it_is() -> None:
    with pytest.raises(BadName, match="never asked for"):
        chosen(Requestable(kind=NameKind.URI), uri=("URN:gatehouse:north:device:other",))
    assert chosen(Requestable(kind=NameKind.URI), uri=("urn:x:1",)) == ["urn:x:1"]


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("a.example", "a.example", True),
        ("a.example", "A.EXAMPLE", True),
        ("a.example", "b.a.example", False),
        ("*.example", "a.example", True),
        ("*.example", "a.b.example", True),
        ("*.example", "*.example", True),
        ("*.example", "aexample", False),
        ("a*.example", "abc.example", True),
        ("a.c.example", "aXc.example", False),
        ("${me}.example", "pump.example", True),
        ("${me}.example", "other.example", False),
        ("${star}.example", "a.example", False),
        ("a*a.example", "a.example", False),
        ("*b*c*.example", "abbc.example", True),
        ("*b*c*.example", "acb.example", False),
        ("a.*.example", "a.example", False),
        ("*", "a.example", True),
        ("${kelvin}.example", "k.example", False),
        ("${sharp}.example", "ss.example", False),
    ],
)
def test_a_dns_name_fits_a_pattern(pattern: str, name: str, fits: bool) -> None:
    asked, variables = (
        Requestable(kind=NameKind.DNS, patterns=(pattern,)),
        {"me": "pump", "star": "*", "kelvin": "\u212a", "sharp": "ß"},
    )
    if fits:
        assert chosen(asked, variables=variables, dns=(name,)) == [name.lower()]
    else:
        with pytest.raises(BadName, match="does not allow"):
            chosen(asked, variables=variables, dns=(name,))


def test_a_pattern_of_many_asterisks_takes_no_time() -> None:
    asked = Requestable(kind=NameKind.URI, patterns=("*a" * 12 + "*b",))
    began = time.process_time()
    with pytest.raises(BadName, match="does not allow"):
        chosen(asked, uri=("urn:" + "a" * 80,))
    assert time.process_time() - began < 5
    assert chosen(asked, uri=("urn:" + "a" * 80 + "b",)) == ["urn:" + "a" * 80 + "b"]


def test_a_pattern_lets_no_request_choose_a_wildcard() -> None:
    asked = Requestable(kind=NameKind.DNS, patterns=("*.mq.example",))
    with pytest.raises(BadName, match="let an operator name it in dns_names"):
        chosen(asked, asked=AskedNames(dns=("a.mq.example", "*.mq.example")))
    assert chosen(asked, asked=AskedNames(dns=("a.mq.example",))) == ["a.mq.example"]
    assert chosen(asked, dns=("*.mq.example",)) == ["*.mq.example"]


def test_a_uri_has_1024_characters_at_most() -> None:
    longest = "urn:" + "a" * 1_020
    assert MAKERS[NameKind.URI](longest).value == longest
    with pytest.raises(BadName, match="write at most 1,024"):
        MAKERS[NameKind.URI](longest + "a")


@pytest.mark.parametrize("text", ["http://[2001:db8::1]:8080/x", "https://a.example:65535", "urn:x:1", "http:///x"])
def test_a_uri_whose_host_can_be_read_or_is_absent_stands(text: str) -> None:
    assert MAKERS[NameKind.URI](text).value == text


@pytest.mark.parametrize(
    ("pattern", "address", "fits"),
    [
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/24", "192.0.3.0", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "192.0.2.1", False),
        ("${me}", "192.0.2.1", True),
        ("${bad}", "192.0.2.1", False),
    ],
)
def test_an_address_fits_a_network(pattern: str, address: str, fits: bool) -> None:
    asked, variables = Requestable(kind=NameKind.IP, patterns=(pattern,)), {"me": "192.0.2.1", "bad": "x"}
    if fits:
        assert [str(each) for each in chosen(asked, variables=variables, ip=(address,))] == [address]
    else:
        with pytest.raises(BadName, match="does not allow"):
            chosen(asked, variables=variables, ip=(address,))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (NameKind.DNS, ".example.com"), (NameKind.DNS, "*.example.com"), (NameKind.IP, "192.0.2.1/24"),
        (NameKind.IP, "example.com"), (NameKind.EMAIL, "@example.com"), (NameKind.EMAIL, "a@.example.com"),
        (NameKind.URI, "https://example.com"),
    ],
)  # fmt: skip
def test_a_constraint_that_is_none_is_refused(kind: NameKind, value: str) -> None:
    with pytest.raises(BadName):
        subtree(kind, value)


@pytest.mark.parametrize("value", ["example.com", ".example.com", "a@example.com"])
def test_mail_is_constrained_by_host_hosts_below_or_mailbox(value: str) -> None:
    assert subtree(NameKind.EMAIL, value) == x509.RFC822Name(value)
