"""Profiles as values and as documents: what they refuse, and that reading what was written gives the same again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.x509 import ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.core.errors import DomainError
from pki.core.filling import alternative_names_of, subject_of
from pki.core.profile import (
    CLASSICAL,
    CONSTRAINABLE,
    NO_EXPIRY,
    REQUESTABLE,
    Attribute,
    BeyondIssuer,
    ContradictionError,
    KeyFamily,
    NameKind,
    NamePart,
    Policy,
    Profile,
    Requestable,
    SubjectPart,
    Subtree,
)
from pki.core.profile_documents import (
    EXTENDED_KEY_USAGE_NAMES,
    KEY_USAGE_NAMES,
    BadProfile,
    parse_profile,
    profile_document,
)
from pki.core.profiles import PROFILES
from pki.core.samples import sample_names
from pki.core.templates import MissingVariable, fill, placeholders

CA: dict[str, Any] = {"is_ca": True, "key_usage": ["keyCertSign"]}
SMALL: dict[str, Any] = {
    "validity": {"days": 1},
    "subject": [{"attribute": "CN", "value": "${name}"}],
    "key_usage": ["digitalSignature"],
    "extended_key_usage": ["clientAuth"],
}

plain = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="$"), min_size=1, max_size=9
)
templates = st.one_of(plain, st.sampled_from(["${auth_id}", "a-${id}.b", "$$${x}", "${_a1}${b}"]))
oids = st.from_regex(r"[01]\.[1-3]?[0-9](\.[1-9][0-9]{0,5}){1,6}", fullmatch=True).map(ObjectIdentifier)
seconds = st.integers(1, 10**8).map(lambda number: timedelta(seconds=number))
moments = st.datetimes(datetime(2026, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)
names = st.one_of(
    st.builds(
        NamePart,
        kind=st.sampled_from([kind for kind in NameKind if kind is not NameKind.HARDWARE_MODULE]),
        value=templates,
    ),
    st.builds(NamePart, kind=st.just(NameKind.HARDWARE_MODULE), value=templates, hardware_type=templates),
)
trees = st.lists(st.builds(Subtree, kind=st.sampled_from(CONSTRAINABLE), value=plain), max_size=3).map(tuple)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    is_ca = draw(st.booleans())
    requestable = [
        Requestable(
            kind=kind,
            patterns=tuple(draw(st.lists(st.just("10.0.0.0/8") if kind is NameKind.IP else templates, max_size=2))),
        )
        for kind in draw(st.lists(st.sampled_from(REQUESTABLE), unique=True))
    ]
    validity = draw(st.one_of(seconds, moments, st.just(NO_EXPIRY)))
    families = draw(st.frozensets(st.sampled_from([*KeyFamily]), min_size=1))
    usage = draw(st.frozensets(st.sampled_from(["digital_signature", "content_commitment", "crl_sign"]), min_size=1))
    if families == {KeyFamily.RSA}:
        usage |= draw(st.frozensets(st.sampled_from(["key_encipherment", "data_encipherment"])))
    extended = draw(
        st.lists(
            st.one_of(
                oids, st.sampled_from([oid for name, oid in EXTENDED_KEY_USAGE_NAMES.items() if "OCSP" not in name])
            ),
            unique=True,
            min_size=not is_ca,
            max_size=4,
        )
    )
    return Profile(
        name="x",
        description=draw(st.one_of(st.just(""), plain)),
        validity=validity,
        backdate=timedelta(seconds=draw(st.integers(0, 604_800))),
        issuer_limits=draw(st.sampled_from([*BeyondIssuer] if validity == NO_EXPIRY else [*BeyondIssuer][:2])),
        subject_parts=(
            SubjectPart(attribute=Attribute.COMMON_NAME, value=draw(templates)),
            *draw(
                st.lists(
                    st.builds(
                        SubjectPart,
                        attribute=st.sampled_from([Attribute.ORGANIZATIONAL_UNIT, Attribute.DOMAIN_COMPONENT]),
                        value=templates,
                    ),
                    max_size=3,
                )
            ),
        ),
        alternative_names=tuple(draw(st.lists(names, max_size=3))),
        requestable=tuple(requestable),
        needs_requested=bool(requestable) and draw(st.booleans()),
        key_usage=usage | {"key_cert_sign"} if is_ca else usage,
        extended_key_usage=tuple(extended),
        is_ca=is_ca,
        path_length=draw(st.one_of(st.none(), st.integers(0, 255))) if is_ca else None,
        policies=tuple(draw(st.lists(st.builds(Policy, oid=oids, cps=st.one_of(st.just(""), plain)), max_size=2,
                                     unique_by=lambda policy: policy.oid))),
        permitted_names=draw(trees) if is_ca else (),
        excluded_names=draw(trees) if is_ca else (),
        key_families=families,
        rsa_bits=draw(st.integers(2_048, 8_192)),
        names_ocsp=draw(st.booleans()),
        names_issuer=draw(st.booleans()),
        names_crl=draw(st.booleans()),
    )  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(profiles())
def test_a_profile_that_was_written_is_read_as_the_same(profile: Profile) -> None:
    text = json.dumps(profile_document(profile))
    assert parse_profile(json.loads(text), name="x") == profile
    assert json.dumps(profile_document(parse_profile(json.loads(text), name="x"))) == text


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_built_in_profiles_are_documents_too(name: str) -> None:
    document = json.loads(json.dumps(profile_document(PROFILES[name])))
    assert parse_profile(document, name=name) == PROFILES[name]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


members = st.sampled_from(sorted(profile_document(PROFILES["root"])))


def faults_of(document: Any) -> list[str]:
    try:
        parse_profile(document, name="x")
    except BadProfile as error:
        return [fault.detail for fault in error.errors] or ["no fault is told"]
    return []


@settings(deadline=None, max_examples=300)
@given(st.one_of(json_values, st.dictionaries(members, json_values)))
def test_any_json_is_a_profile_or_a_list_of_faults(document: Any) -> None:
    assert all(detail.endswith(".") for detail in faults_of(document))
    if isinstance(document, dict):
        assert all(detail.endswith(".") for detail in faults_of(SMALL | document))


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"colour": "red"}, "/colour"),
        ({"a/b~": 1}, "/a~1b~0"),
        ({"validity": {"days": 1, "seconds": 1}}, "/validity"),
        ({"validity": {"no_expiry": False}}, "/validity"),
        ({"validity": {"until": "2030-01-01T00:00:00"}}, "/validity/until"),
        ({"validity": {"until": "soon"}}, "/validity/until"),
        ({"validity": {"days": 0}}, "/validity"),
        ({"validity": {"days": 1.5}}, "/validity/days"),
        ({"validity": {"days": True}}, "/validity/days"),
        ({"backdate_seconds": 604_801}, "/backdate_seconds"),
        ({"issuer_limits": "allow"}, "/issuer_limits"),
        ({"issuer_limits": "ignore"}, "/issuer_limits"),
        ({"subject": []}, "/subject"),
        ({"subject": [{"attribute": "XY", "value": "a"}]}, "/subject/0/attribute"),
        ({"subject": [{"attribute": "CN", "value": ""}]}, "/subject/0/value"),
        ({"subject": [{"attribute": "CN", "value": "a\nb"}]}, "/subject/0/value"),
        ({"subject": [{"attribute": "CN", "value": "$1"}]}, "/subject/0/value"),
        ({"subject": [{"attribute": "CN", "value": "a"}] * 2}, "/subject"),
        ({"subject": [{"attribute": "OU", "value": "a"}] * 65}, "/subject"),
        ({"subject": "CN=x"}, "/subject"),
        ({"alternative_names": [{"kind": "dns"}]}, "/alternative_names/0/value"),
        ({"alternative_names": [{"kind": "hardware-module", "value": "1"}]}, "/alternative_names/0"),
        ({"alternative_names": [{"kind": "dns", "value": "a", "hardware_type": "1.2.3"}]}, "/alternative_names/0"),
        ({"requestable": [{"kind": "registered-id"}]}, "/requestable"),
        ({"requestable": [{"kind": "dns"}, {"kind": "dns"}]}, "/requestable"),
        ({"requestable": [{"kind": "ip", "patterns": ["10.0.0.0/33"]}]}, "/requestable/0/patterns/0"),
        ({"needs_requested": True}, "/needs_requested"),
        ({"key_usage": []}, "/key_usage"),
        ({"key_usage": ["keyEncipherment"]}, "/key_usage"),
        ({"key_usage": ["keyAgreement"]}, "/key_usage"),
        ({"key_usage": ["encipherOnly"]}, "/key_usage"),
        ({"key_usage": ["keyCertSign"]}, "/key_usage"),
        ({"extended_key_usage": ["fly"]}, "/extended_key_usage/0"),
        ({"extended_key_usage": []}, "/extended_key_usage"),
        ({"extended_key_usage": ["clientAuth"] * 2}, "/extended_key_usage"),
        ({"extended_key_usage": ["clientAuth", "OCSPSigning"]}, "/extended_key_usage"),
        ({"ocsp_no_check": True}, "/ocsp_no_check"),
        ({"is_ca": True}, "/key_usage"),
        ({"path_length": 0}, "/path_length"),
        ({"path_length": -1}, "/path_length"),
        ({"policies": [{"oid": "x"}]}, "/policies/0/oid"),
        ({"policies": [{"oid": "1.2.3"}] * 2}, "/policies"),
        ({"permitted_names": [{"kind": "dns", "value": "a.example"}]}, "/permitted_names"),
        ({"key_families": []}, "/key_families"),
        ({"key_families": ["dsa"]}, "/key_families/0"),
        ({"rsa_bits": 1024}, "/rsa_bits"),
        ({"names_crl": "yes"}, "/names_crl"),
        (CA | {"permitted_names": [{"kind": "registered-id", "value": "1.2.3"}]}, "/permitted_names/0"),
        (CA | {"excluded_names": [{"kind": "dns", "value": ""}]}, "/excluded_names/0/value"),
    ],
)
def test_a_fault_is_pointed_at(changed: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BadProfile) as caught:
        parse_profile(SMALL | changed, name="x")
    assert caught.value.code == "profile-document"
    assert pointer in [fault.pointer for fault in caught.value.errors]


@pytest.mark.parametrize("missing", ["validity", "key_usage"])
def test_what_has_no_default_is_needed(missing: str) -> None:
    with pytest.raises(BadProfile) as caught:
        parse_profile({name: value for name, value in SMALL.items() if name != missing}, name="x")
    assert [fault.pointer for fault in caught.value.errors] == [f"/{missing}"]


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(BadProfile) as caught:
        parse_profile({"validity": {}, "key_usage": ["fly"], "names_crl": 1, "x": 1}, name="x")
    assert {fault.pointer for fault in caught.value.errors} == {"/validity", "/key_usage/0", "/names_crl", "/x"}


def test_what_is_left_out_takes_the_default() -> None:
    profile = parse_profile(SMALL, name="x")
    assert (profile.backdate, profile.key_families, profile.rsa_bits) == (timedelta(minutes=5), CLASSICAL, 2_048)
    assert (profile.names_ocsp, profile.names_crl, profile.is_ca) == (True, True, False)


def test_a_nameless_profile_is_none() -> None:
    with pytest.raises(BadProfile, match="needs a name"):
        parse_profile(SMALL, name="")


def test_key_usages_are_spelt_as_in_the_rfc() -> None:
    """RFC 5280 4.2.1.3, in the order of its bits."""
    assert [*KEY_USAGE_NAMES] == [
        "digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign",
        "cRLSign", "encipherOnly", "decipherOnly",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("template", "filled"),
    [("a", "a"), ("${x}", "1"), ("$x-${y}", "1-2"), ("$$${x}$$", "$1$"), ("${x}${x}", "11"), ("", "")],
)
def test_templates_are_filled(template: str, filled: str) -> None:
    assert fill(template, {"x": "1", "y": "2"}, profile="p") == filled


def test_a_value_is_no_template() -> None:
    assert fill("${x}", {"x": "${y}$$"}, profile="p") == "${y}$$"
    assert placeholders("$$x ${y}") == {"y"}
    with pytest.raises(MissingVariable, match=r"profile p needs a value for \$\{z\}"):
        fill("${z}", {}, profile="p")


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_there_is_a_sample_for_every_variable(name: str) -> None:
    assert set(sample_names(PROFILES[name]).variables) >= PROFILES[name].variables


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"kind": "dns"}, "sample.example"),
        ({"kind": "dns", "patterns": ["*.${name}.example"]}, "sample.sample.example"),
        ({"kind": "ip", "patterns": ["10.0.0.0/8"]}, "10.0.0.0"),
        ({"kind": "uri"}, "https://sample.example/"),
    ],
)
def test_a_name_that_is_needed_is_made_up_within_its_pattern(asked: dict[str, Any], name: str) -> None:
    profile = parse_profile(SMALL | {"requestable": [asked], "needs_requested": True}, name="x")
    names = sample_names(profile)
    assert str(alternative_names_of(profile, names)[0].value) == name


def test_samples_fit_where_they_go() -> None:
    parts = [
        {"kind": "ip", "value": "${address}"}, {"kind": "email", "value": "${mail}"}, {"kind": "dns", "value": "${a}"},
        {"kind": "registered-id", "value": "${oid}"}, {"kind": "uri", "value": "urn:x:${any}"},
    ]  # fmt: skip
    subject = [{"attribute": "C", "value": "${country}"}]
    profile = parse_profile(SMALL | {"alternative_names": parts, "subject": subject}, name="x")
    names = sample_names(profile)
    assert len(alternative_names_of(profile, names)) == 5
    assert subject_of(profile, names.variables).rfc4514_string() == "C=DE"


def test_certificate_for_clients_or_for_anything_may_be_a_clients() -> None:
    assert {name for name in PROFILES if PROFILES[name].may_be_client} == {"application", "device", "idevid"}
    assert replace(PROFILES["broker-server"], extended_key_usage=(ObjectIdentifier("2.5.29.37.0"),)).may_be_client


@pytest.mark.parametrize("end", [datetime(2030, 1, 1), datetime(2030, 1, 1, 0, 0, 0, 5, tzinfo=UTC)])  # noqa: DTZ001
def test_a_fixed_end_has_a_time_zone_and_whole_seconds(end: datetime) -> None:
    with pytest.raises(ContradictionError, match="a moment with a time zone"):
        replace(PROFILES["device"], validity=end)
    with pytest.raises(ContradictionError, match="backdating"):
        replace(PROFILES["device"], backdate=timedelta(microseconds=1))


def test_errors_of_profiles_are_errors_of_ours() -> None:
    assert issubclass(BadProfile, DomainError)
