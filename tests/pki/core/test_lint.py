"""The lint beside its oracles: pkilint finds nothing in what profiles make; openssl refuses what the lint refuses."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pkilint.bin import lint_pkix_signer_signee_cert_chain

from pki.adapters.pkilint import lint_with_pkilint
from pki.core import certificates, lint
from pki.core.certificates import Authority, Names, constraints_of, new_serial, validity
from pki.core.keys import key_identifier
from pki.core.lint_findings import LintFinding, Severity
from pki.core.lint_names import constraint_findings
from pki.core.profile import (
    NO_EXPIRY,
    Attribute,
    KeyFamily,
    NameKind,
    NamePart,
    Policy,
    Profile,
    Requestable,
    SubjectPart,
    Subtree,
)
from pki.core.profiles import PROFILES
from pki.core.values import KeyAlgorithm
from tests.pki.conftest import openssl
from tests.pki.core.making import NOW, Ca, make_ca

VARIABLES = {
    "auth_id": "pump-17", "domain": "north", "id": "0193", "common_name": "North",
    "hardware_serial": "SN-0193", "hardware_type": "1.3.6.1.4.1.32473.1",
}  # fmt: skip
CAS: dict[KeyAlgorithm, Ca] = {}


def ca_of(algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256) -> Ca:
    if algorithm not in CAS:
        CAS[algorithm] = make_ca(algorithm)
    return CAS[algorithm]


def make(
    profile: Profile,
    *,
    ca: Ca | None = None,
    authority: Authority | None = None,
    public_key: CertificatePublicKeyTypes | None = None,
    names: Names | None = None,
    **changed: Any,
) -> x509.Certificate:
    """A certificate of the profile; a root signs itself."""
    ca = ca or ca_of()
    above = None if profile.name == "root" else authority or ca.authority
    not_before, not_after = validity(profile, now=NOW, ends_by=above.not_after if above else None)
    dns = ("mq.example",) if profile.needs_requested else ()
    facts: dict[str, Any] = {
        "profile": profile,
        "names": names or Names(variables=VARIABLES, dns=dns),
        "authority": above,
        "public_key": public_key or ca.key.public_key(),
        "serial": new_serial(),
        "not_before": not_before,
        "not_after": not_after,
    }
    return certificates.sign(certificates.build(**facts | changed), ca.key)


def findings(certificate: x509.Certificate, profile: Profile, authority: Authority | None = None) -> list[LintFinding]:
    above = None if profile.name == "root" else authority or ca_of().authority
    return lint.lint_certificate(certificate, profile=profile, authority=above)


RICH = Profile(
    name="rich",
    validity=timedelta(days=30),
    subject_parts=(
        SubjectPart(attribute=Attribute.COUNTRY, value="DE"),
        SubjectPart(attribute=Attribute.STATE, value="Bayern"),
        SubjectPart(attribute=Attribute.LOCALITY, value="München"),
        SubjectPart(attribute=Attribute.ORGANIZATION, value="Acme"),
        SubjectPart(attribute=Attribute.ORGANIZATIONAL_UNIT, value="Pumps"),
        SubjectPart(attribute=Attribute.DOMAIN_COMPONENT, value="com"),
        SubjectPart(attribute=Attribute.DOMAIN_COMPONENT, value="example"),
        SubjectPart(attribute=Attribute.SERIAL_NUMBER, value="${id}"),
        SubjectPart(attribute=Attribute.COMMON_NAME, value="${auth_id}"),
    ),
    alternative_names=(
        NamePart(kind=NameKind.URI, value="urn:x:${id}"),
        NamePart(kind=NameKind.DNS, value="${auth_id}.example"),
        NamePart(kind=NameKind.IP, value="192.0.2.9"),
        NamePart(kind=NameKind.EMAIL, value="${auth_id}@example.com"),
        NamePart(kind=NameKind.HARDWARE_MODULE, value="${id}", hardware_type="1.3.6.1.4.1.32473.1"),
        NamePart(kind=NameKind.REGISTERED_ID, value="1.3.6.1.4.1.32473.7"),
    ),
    key_usage=frozenset({"digital_signature"}),
    extended_key_usage=(ExtendedKeyUsageOID.CLIENT_AUTH, x509.ObjectIdentifier("1.3.6.1.4.1.32473.2")),
    policies=(
        Policy(oid=x509.ObjectIdentifier("1.3.6.1.4.1.32473.3"), cps="https://pki.example/cps"),
        Policy(oid=x509.ObjectIdentifier("1.3.6.1.4.1.32473.4")),
    ),
    key_families=frozenset(KeyFamily),
)
SUB_CA = Profile(
    name="sub-ca",
    validity=timedelta(days=30),
    subject_parts=(SubjectPart(attribute=Attribute.COMMON_NAME, value="Constrained CA"),),
    key_usage=frozenset({"key_cert_sign", "crl_sign"}),
    is_ca=True,
    path_length=0,
    permitted_names=(
        Subtree(kind=NameKind.DNS, value="example.com"),
        Subtree(kind=NameKind.IP, value="192.0.2.0/24"),
        Subtree(kind=NameKind.IP, value="2001:db8::/32"),
        Subtree(kind=NameKind.EMAIL, value="example.com"),
    ),
    excluded_names=(Subtree(kind=NameKind.DNS, value="no.example.com"),),
    key_families=frozenset(KeyFamily),
)
EVERY = {**PROFILES, "rich": RICH, "sub-ca": SUB_CA}


@pytest.mark.parametrize("algorithm", [*KeyAlgorithm])
@pytest.mark.parametrize("name", sorted(EVERY))
def test_nothing_is_found_in_what_a_profile_makes(name: str, algorithm: KeyAlgorithm) -> None:
    """Issuer and holder both have a key of the algorithm, but where the profile does not take it."""
    profile, ca = EVERY[name], ca_of(algorithm)
    accepted = certificates.kind_fits(profile, algorithm.value)
    certificate = make(profile, ca=ca, public_key=None if accepted else ca_of().key.public_key())
    assert findings(certificate, profile, ca.authority) == []
    told = {finding.code for finding in lint_with_pkilint(certificate.public_bytes(Encoding.DER))}
    assert told == ({"pkix.certificate_policies_policy_has_qualifier"} if profile.policies else set())  # a notice


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("algorithm", [*KeyAlgorithm])
def test_pkilint_finds_no_fault_in_a_chain(
    algorithm: KeyAlgorithm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By pkilint's own program, which verifies the signature too; run in this process, since it is slow to start."""
    ca = ca_of(algorithm)
    root = make(PROFILES["root"], ca=ca)
    above = Authority(name=root.subject, key_id=key_identifier(root.public_key()), not_after=root.not_valid_after_utc)
    (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    for name in sorted(set(EVERY) - {"root"}):
        below = make(EVERY[name], ca=ca, authority=above, public_key=ca_of().key.public_key())
        (tmp_path / "below.pem").write_bytes(below.public_bytes(Encoding.PEM))
        files = [str(tmp_path / "root.pem"), str(tmp_path / "below.pem")]
        lint_pkix_signer_signee_cert_chain.main(["lint", "-f", "JSON", "-s", "WARNING", *files])
        found = json.loads(capsys.readouterr().out)["results"]
        assert [each for result in found for each in result["finding_descriptions"]] == [], name


def test_the_one_exemption_is_still_needed_and_hides_nothing_else() -> None:
    certificate = make(PROFILES["device"])
    from pki.adapters import pkilint as adapter

    exempt, adapter.EXEMPT = adapter.EXEMPT, set()
    try:
        [told] = lint_with_pkilint(certificate.public_bytes(Encoding.DER))
    finally:
        adapter.EXEMPT = exempt
    assert told.code == "pkix.invalid_uri_syntax"
    broken = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(ca_of().authority.name)
    broken = broken.serial_number(1).not_valid_before(NOW).not_valid_after(NOW).public_key(ca_of().key.public_key())
    signed = certificates.sign(broken, ca_of().key)
    assert Severity.ERROR in {each.severity for each in lint_with_pkilint(signed.public_bytes(Encoding.DER))}


def codes(certificate: x509.Certificate, profile: Profile, authority: Authority | None = None) -> set[str]:
    return {finding.code for finding in findings(certificate, profile, authority)}


DEVICE = PROFILES["device"]
CLIENT_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"device", "application"}))
def test_another_profiles_certificate_is_found(name: str) -> None:
    assert codes(make(EVERY[name]), DEVICE) & {"key-usage", "extended-key-usage", "subject"}


def test_a_life_that_is_none_or_outlives_the_issuer_is_found() -> None:
    end = ca_of().authority.not_after
    assert codes(make(DEVICE, not_after=end + timedelta(seconds=1)), DEVICE) == {"validity-issuer"}
    assert "validity-issuer" not in codes(make(PROFILES["idevid"]), PROFILES["idevid"])


def test_times_in_the_other_encoding_are_found() -> None:
    certificate = make(DEVICE)
    octets = certificate.public_bytes(Encoding.DER)
    begin = b"\x17\x0d" + f"{certificate.not_valid_before_utc:%y%m%d%H%M%SZ}".encode()
    end = b"\x17\x0d" + f"{certificate.not_valid_after_utc:%y%m%d%H%M%SZ}".encode()
    assert begin + end in octets
    from pki.core import der

    tbs, algorithm, signature = der.read_only(octets).children()
    fields = [child.encoded for child in tbs.children()]
    fields[4] = der.sequence(der.generalized_time(certificate.not_valid_before_utc), end)
    changed = x509.load_der_x509_certificate(der.sequence(der.sequence(*fields), algorithm.encoded, signature.encoded))
    assert codes(changed, DEVICE) == {"validity-encoding"}


def test_serial_numbers_that_are_not_are_found() -> None:
    assert codes(make(DEVICE, serial=77), DEVICE) == {"serial-guessable"}
    assert lint.lint_certificate(make(DEVICE, serial=77), profile=DEVICE, authority=ca_of().authority)[0].severity is (
        Severity.WARNING
    )
    assert codes(make(DEVICE, serial=(1 << 159) - 1), DEVICE) == set()


def test_a_key_that_the_profile_does_not_take_is_found() -> None:
    small = rsa.generate_private_key(65_537, 2_048).public_key()
    certificate = make(DEVICE, public_key=small)
    assert codes(certificate, DEVICE) == set()
    strict = Profile(**{**as_members(DEVICE), "rsa_bits": 3_072})
    assert codes(certificate, strict) == {"key-kind"}


def as_members(profile: Profile) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in profile.__slots__}


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ([(NameOID.COMMON_NAME, "a"), (NameOID.COMMON_NAME, "b")], "subject-repeated"),
        ([(NameOID.COMMON_NAME, "a"), (NameOID.PSEUDONYM, "b")], "subject-unusual"),
        ([(NameOID.ORGANIZATION_NAME, "a")], "subject"),
        ([(NameOID.COMMON_NAME, "a\x07b")], "subject-attribute"),
        ([(NameOID.COUNTRY_NAME, "de")], "subject-attribute"),
        ([], "san-criticality"),
    ],
)
def test_a_subject_that_is_none_is_found(attributes: list[tuple[x509.ObjectIdentifier, str]], code: str) -> None:
    builder = certificates.build(
        profile=DEVICE, names=Names(variables=VARIABLES), authority=ca_of().authority,
        public_key=ca_of().key.public_key(), serial=new_serial(), not_before=NOW, not_after=NOW + timedelta(days=1),
    )  # fmt: skip
    builder._subject_name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    assert code in codes(certificates.sign(builder, ca_of().key), DEVICE)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (x509.DNSName("under_score.example"), "san-syntax"),
        (x509.DNSName("a..example"), "san-syntax"),
        (x509.DNSName("UPPER.example"), "san-case"),
        (x509.RFC822Name("nobody"), "san-syntax"),
        (x509.UniformResourceIdentifier("no-scheme"), "san-syntax"),
        (x509.UniformResourceIdentifier("https:///path"), "san-uri-host"),
        (x509.UniformResourceIdentifier("urn:gatehouse:a b"), "san-syntax"),
        (x509.UniformResourceIdentifier("http://[x"), "san-syntax"),
        (x509.UniformResourceIdentifier("http://a.example:99999/"), "san-syntax"),
    ],
)
def test_an_alternative_name_that_is_none_is_found(name: x509.GeneralName, code: str) -> None:
    assert codes(with_names([name]), DEVICE) == {code}


def with_names(names: Sequence[x509.GeneralName], *, critical: bool = False) -> x509.Certificate:
    builder = certificates.build(
        profile=DEVICE, names=Names(variables=VARIABLES), authority=ca_of().authority,
        public_key=ca_of().key.public_key(), serial=new_serial(), not_before=NOW, not_after=NOW + timedelta(days=1),
    )  # fmt: skip
    builder._extensions = [each for each in builder._extensions if each.oid.dotted_string != "2.5.29.17"]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=critical)
    return certificates.sign(builder, ca_of().key)


def spoilt(
    *, without: str = "", extension: x509.ExtensionType | None = None, critical: bool = False
) -> x509.Certificate:
    builder = certificates.build(
        profile=DEVICE, names=Names(variables=VARIABLES), authority=ca_of().authority,
        public_key=ca_of().key.public_key(), serial=new_serial(), not_before=NOW, not_after=NOW + timedelta(days=1),
    )  # fmt: skip
    builder._extensions = [each for each in builder._extensions if each.oid.dotted_string != without]
    if extension:
        builder = builder.add_extension(extension, critical=critical)
    return certificates.sign(builder, ca_of().key)


@pytest.mark.parametrize(
    ("certificate", "code"),
    [
        (spoilt(extension=x509.TLSFeature([x509.TLSFeatureType.status_request])), "extension-unknown"),
        (spoilt(without="2.5.29.14", extension=x509.SubjectKeyIdentifier(b"x")), "subject-key-id"),
        (spoilt(without="2.5.29.35"), "authority-key-id"),
        (spoilt(without="2.5.29.19", extension=x509.BasicConstraints(ca=False, path_length=None)), "criticality"),
        (
            spoilt(without="2.5.29.37", extension=CLIENT_AUTH, critical=True),
            "criticality",
        ),
        (
            spoilt(extension=x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])),
            "policies",
        ),
        (spoilt(extension=x509.NameConstraints([x509.DNSName("a.example")], None), critical=True), "name-constraints"),
        (spoilt(without="2.5.29.17"), "san-missing"),
        (
            spoilt(without="1.3.6.1.5.5.7.1.1", extension=x509.AuthorityInformationAccess([
                x509.AccessDescription(x509.ObjectIdentifier("1.3.6.1.5.5.7.48.3"), x509.DNSName("a.example"))
            ])),
            "information-access",
        ),
    ],
)  # fmt: skip
def test_an_extension_that_should_not_be_so_is_found(certificate: x509.Certificate, code: str) -> None:
    assert code in codes(certificate, DEVICE)


def test_what_can_not_be_read_back_is_found() -> None:
    unreadable = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"junk")
    assert "extension-unreadable" in codes(spoilt(without="2.5.29.17", extension=unreadable), DEVICE)
    octets = make(DEVICE).public_bytes(Encoding.DER)
    at = octets.index(bytes.fromhex("0603551d11"))
    twice = x509.load_der_x509_certificate(octets[:at] + bytes.fromhex("0603551d23") + octets[at + 5 :])
    assert "extension-repeated" in codes(twice, DEVICE)
    curve = octets.index(bytes.fromhex("06082a8648ce3d030107"))  # prime256v1 becomes a curve that there is not
    other = x509.load_der_x509_certificate(octets[: curve + 9] + b"\x7f" + octets[curve + 10 :])
    assert codes(other, DEVICE) == {"key-unreadable"}


def test_a_frame_that_is_wrong_is_found() -> None:
    other = Authority(name=x509.Name([]), key_id=ca_of().authority.key_id, not_after=ca_of().authority.not_after)
    assert "issuer-name" in codes(make(DEVICE), DEVICE, other)
    nameless = make(DEVICE, authority=other)
    assert "issuer-empty" in codes(nameless, DEVICE, other)
    assert "validity-order" in codes(make(DEVICE, not_after=NOW - timedelta(minutes=5)), DEVICE)


def test_a_signature_over_sha_1_is_found() -> None:
    octets = make(DEVICE, ca=ca_of(KeyAlgorithm.RSA_3072)).public_bytes(Encoding.DER)
    sha256, sha1 = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    certificate = x509.load_der_x509_certificate(octets.replace(sha256, sha1))
    assert "signature-hash" in codes(certificate, DEVICE, ca_of(KeyAlgorithm.RSA_3072).authority)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"extended_key_usage": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)}, "any-usage"),
        ({"requestable": (Requestable(kind=NameKind.DNS),)}, "names-unbounded"),
        ({"policies": (Policy(oid=x509.ObjectIdentifier("1.2.3"), cps="the wall"),)}, "policy-cps"),
    ],
)
def test_what_a_profile_should_not_say_is_told(changed: dict[str, Any], code: str) -> None:
    profile = Profile(**as_members(DEVICE) | changed)
    assert codes(make(profile), profile) == {code}


def test_a_ca_that_constrains_uris_is_warned_of_urns() -> None:
    tree = (Subtree(kind=NameKind.URI, value="example.com"),)
    profile = Profile(**as_members(SUB_CA) | {"permitted_names": tree})
    assert codes(make(profile), profile) == {"uri-constraint"}


def test_addresses_that_are_no_web_addresses_are_found() -> None:
    members = {name: getattr(ca_of().authority, name) for name in Authority.__slots__}
    odd = Authority(**members | {"ocsp_url": "ftp://a/", "crl_url": "crl.pem", "certificate_url": "http:///x"})
    assert codes(make(DEVICE, authority=odd), DEVICE, odd) == {"information-access", "distribution-point"}


def test_names_that_repeat_or_are_critical_are_found() -> None:
    twice = [x509.DNSName("a.example"), x509.DNSName("a.example")]
    assert codes(with_names(twice), DEVICE) == {"san-repeated"}
    assert codes(with_names(twice[:1], critical=True), DEVICE) == {"san-criticality"}


def test_a_server_that_names_no_host_is_a_warning() -> None:
    members = as_members(DEVICE) | {"name": "x", "extended_key_usage": (ExtendedKeyUsageOID.SERVER_AUTH,)}
    [told] = findings(make(Profile(**members)), Profile(**members))
    assert (told.severity, told.code, told.section) == (Severity.WARNING, "server-unnamed", "RFC 9525 6.1")


def test_a_ca_below_one_that_may_have_none_is_found() -> None:
    above = Authority(**{name: getattr(ca_of().authority, name) for name in Authority.__slots__} | {"path_length": 0})
    assert codes(make(SUB_CA), SUB_CA, above) == {"path-length"}


def test_pointers_that_should_not_be_there_are_found() -> None:
    silent = Profile(**as_members(DEVICE) | {"names_ocsp": False, "names_crl": False, "names_issuer": False})
    assert codes(make(DEVICE), silent) == {"information-access", "distribution-point"}
    assert codes(make(silent), DEVICE) == {"information-access", "distribution-point"}
    assert codes(make(silent), silent) == set()


uri = x509.UniformResourceIdentifier


def constrained() -> x509.NameConstraints:
    found = constraints_of(make(SUB_CA))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        (x509.DNSName("example.com"), True),
        (x509.DNSName("a.b.example.com"), True),
        (x509.DNSName("*.a.example.com"), True),
        (x509.DNSName("badexample.com"), False),
        (x509.DNSName("no.example.com"), False),
        (x509.DNSName("x.no.example.com"), False),
        (x509.IPAddress(ipaddress.ip_address("192.0.2.200")), True),
        (x509.IPAddress(ipaddress.ip_address("192.0.3.1")), False),
        (x509.IPAddress(ipaddress.ip_address("2001:db8::5")), True),
        (x509.RFC822Name("a@example.com"), True),
        (x509.RFC822Name("a@mail.example.com"), False),
        (x509.UniformResourceIdentifier("urn:x:1"), True),
    ],
    ids=str,
)
def test_what_an_issuer_may_name_is_what_openssl_accepts(name: x509.GeneralName, fits: bool, tmp_path: Path) -> None:
    """RFC 5280 4.2.1.10; openssl verifies the same names below the same constraints."""
    names = x509.SubjectAlternativeName([name])
    assert (not [*constraint_findings(constrained(), subject=x509.Name([]), names=names)]) == fits
    key = ec.generate_private_key(ec.SECP256R1())
    middle = make(SUB_CA, public_key=key.public_key())
    leaf = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(middle.subject).serial_number(5)
    leaf = leaf.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1)).public_key(key.public_key())
    leaf = leaf.add_extension(names, critical=True)
    for file, certificate in (("root", self_signed()), ("middle", middle), ("leaf", certificates.sign(leaf, key))):
        (tmp_path / file).write_bytes(certificate.public_bytes(Encoding.PEM))
    said = openssl(
        "verify", "-attime", str(int(NOW.timestamp()) + 9), "-partial_chain", "-trusted", tmp_path / "middle",
        tmp_path / "leaf", check=False,
    )  # fmt: skip
    assert ("permitted subtree violation" not in said and "excluded subtree violation" not in said) == fits, said


@pytest.mark.parametrize(
    ("base", "name", "fits"),
    [
        ("secret.example.com", "*.example.com", False),
        ("secret.example.com", "*.EXAMPLE.com", False),
        ("secret.example.com", "*.secret.example.com", False),
        (".secret.example.com", "*.secret.example.com", False),
        ("secret.example.com", "*.other.example.com", True),
        ("a.secret.example.com", "*.example.com", True),
        ("secret.example.com", "example.com", True),
    ],
)
def test_a_wildcard_is_good_for_no_excluded_host(base: str, name: str, fits: bool) -> None:
    """RFC 9525 6.3: the asterisk stands for one whole label. openssl compares the letters alone."""
    constraints = x509.NameConstraints(None, [x509.DNSName(base)])
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    assert (not [*constraint_findings(constraints, subject=x509.Name([]), names=names)]) == fits


def test_a_uri_that_can_not_be_read_is_within_no_host() -> None:
    constraints = x509.NameConstraints([uri("example.com")], None)
    names = x509.SubjectAlternativeName([uri("http://[x")])
    [told] = constraint_findings(constraints, subject=x509.Name([]), names=names)
    assert told.code == "name-constraint"


@pytest.mark.parametrize("name", ["urn:x:1", "https://192.0.2.7/", "https://[2001:db8::7]/"])
def test_a_uri_without_a_domain_name_is_refused_below_any_constraint_on_uris(name: str) -> None:
    """RFC 5280 4.2.1.10: whoever verifies MUST reject it, whether the constraint permits or excludes."""
    names = x509.SubjectAlternativeName([uri(name)])
    for constraints in (x509.NameConstraints([uri("a.example")], None), x509.NameConstraints(None, [uri("a.example")])):
        [told] = constraint_findings(constraints, subject=x509.Name([]), names=names)
        assert told.code == "name-constraint"


def self_signed() -> x509.Certificate:
    return ca_of().certificate


@pytest.mark.parametrize(
    ("base", "name", "fits"),
    [
        (x509.RFC822Name("root@example.com"), x509.RFC822Name("root@example.com"), True),
        (x509.RFC822Name("root@example.com"), x509.RFC822Name("other@example.com"), False),
        (x509.RFC822Name(".example.com"), x509.RFC822Name("a@mail.example.com"), True),
        (
            x509.UniformResourceIdentifier(".example.com"),
            x509.UniformResourceIdentifier("https://a.example.com/"),
            True,
        ),
        (x509.UniformResourceIdentifier("example.com"), x509.UniformResourceIdentifier("https://a.example.com"), False),
        (x509.UniformResourceIdentifier("example.com"), x509.UniformResourceIdentifier("urn:x:1"), False),
    ],
)
def test_mailboxes_and_uris_are_constrained_as_the_rfc_says(
    base: x509.GeneralName, name: x509.GeneralName, fits: bool
) -> None:
    constraints = x509.NameConstraints([base], None)
    found = [*constraint_findings(constraints, subject=x509.Name([]), names=x509.SubjectAlternativeName([name]))]
    assert (not found) == fits


def test_subjects_are_constrained_too() -> None:
    acme = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme")])
    pump = x509.Name([*acme, x509.NameAttribute(NameOID.COMMON_NAME, "p")])
    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "p")])
    constraints = x509.NameConstraints([x509.DirectoryName(acme)], None)
    assert [*constraint_findings(constraints, subject=pump, names=None)] == []
    [told] = constraint_findings(constraints, subject=other, names=None)
    assert (told.code, told.section) == ("name-constraint", "RFC 5280 4.2.1.10")


def test_no_end_is_written_as_the_standard_says() -> None:
    certificate = make(PROFILES["idevid"])
    assert certificate.not_valid_after_utc == NO_EXPIRY
    said = openssl("asn1parse", given=certificate.public_bytes(Encoding.PEM))
    assert "GENERALIZEDTIME   :99991231235959Z" in said
