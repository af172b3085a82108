from __future__ import annotations

import pytest

from acl.core.templates import InvalidTemplate, UnknownPlaceholder, parse, placeholders, substitute
from acl.core.topics import InvalidTopic
from acl.core.values import CertificateFields, Effect, Principal

PUMP = Principal(
    id="1",
    auth_id="auth-17",
    client_id="pump-17",
    username="user-17",
    domain="north",
    device_type="pump",
    attributes={"site": "hall", "floor": 3, "wet": True, "ratio": 0.5, "path": "a/b", "empty": "", "wild": "+"},
    certificate=CertificateFields(cn="pump-17", serial="0a1b", o="Acme", ou="", san_uri="urn:x:1", san_dns="p.test"),
)


def filled(text: str, principal: Principal = PUMP) -> str | None:
    outcome = substitute(parse(text), principal, Effect.ALLOW)
    assert (outcome.filter is None) is bool(outcome.why)
    return outcome.filter


def widened(text: str, principal: Principal = PUMP) -> str | None:
    return substitute(parse(text), principal, Effect.DENY).filter


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("${domain}/${client_id}/up/#", "north/pump-17/up/#"),
        ("${username}/${auth_id}/${device_type}", "user-17/auth-17/pump"),
        ("x-${attr.site}-${attr.floor}/+", "x-hall-3/+"),
        ("${attr.wet}/${attr.ratio}", "true/0.5"),
        ("${cert.cn}/${cert.serial}/${cert.o}/${cert.san_uri}/${cert.san_dns}", "pump-17/0a1b/Acme/urn:x:1/p.test"),
        ("$SYS/${client_id}", "$SYS/pump-17"),
        ("a$b/$", "a$b/$"),
        ("/${domain}/", "/north/"),
    ],
)
def test_placeholders_take_the_values_of_the_principal(template: str, expected: str) -> None:
    assert filled(template) == expected


@pytest.mark.parametrize("name", ["attr.none", "attr.empty", "attr.path", "attr.wild", "cert.ou"])
def test_a_missing_or_unsafe_value_voids_an_allow_and_widens_a_deny(name: str) -> None:
    assert filled(f"${{domain}}/x-${{{name}}}/up") is None
    assert widened(f"${{domain}}/x-${{{name}}}/up") == "north/+/up"
    assert widened(f"${{domain}}/x-${{{name}}}") == "north/#"
    assert widened(f"${{domain}}/${{{name}}}/#") == "north/+/#"


@pytest.mark.parametrize("value", ["", "a/b", "+", "a#", "nul\x00", "tab\t", "\x7f", "\x9f", "\ud800"])
def test_every_unsafe_value_fails_closed_whatever_it_breaks(value: str) -> None:
    principal = Principal(id="1", auth_id="a", client_id=value, username="a", domain="d")
    assert filled("a/${client_id}", principal) is None
    assert widened("a/${client_id}/b", principal) == "a/+/b"


def test_a_leading_dollar_is_unsafe_at_the_start_of_the_first_level_only() -> None:
    principal = Principal(id="1", auth_id="a", client_id="$SYS", username="a", domain="d")
    assert filled("${client_id}/x", principal) is None
    assert filled("x${client_id}/x", principal) == "x$SYS/x"
    assert filled("x/${client_id}", principal) == "x/$SYS"


def test_the_reason_names_the_placeholder_and_the_fault() -> None:
    assert substitute(parse("a/${attr.path}"), PUMP, Effect.ALLOW).why == "${attr.path} contains /"
    assert substitute(parse("a/${attr.none}"), PUMP, Effect.DENY).why == "${attr.none} has no value"


def test_a_filter_that_its_values_make_too_long_fails_closed() -> None:
    principal = Principal(id="1", auth_id="a", client_id="x" * 40_000, username="a", domain="d")
    assert filled("${client_id}/${client_id}", principal) is None
    assert widened("${client_id}/${client_id}", principal) == "+/#"


def test_a_principal_without_certificate_has_none_of_its_fields() -> None:
    principal = Principal(id="1", auth_id="a", client_id="a", username="a", domain="d")
    assert filled("a/${cert.cn}", principal) is None


@pytest.mark.parametrize("text", ["a/${clientid}", "a/${}", "a/${attr.}", "a/${attr.a b}", "a/${cert.x}", "a/${a/b}"])
def test_unknown_placeholders_are_refused(text: str) -> None:
    with pytest.raises(UnknownPlaceholder, match="use one of client_id"):
        parse(text)


@pytest.mark.parametrize("text", ["a/${client_id", "a/${", "$${client_id}/a", "$S${client_id}/a"])
def test_broken_templates_are_refused(text: str) -> None:
    with pytest.raises(InvalidTemplate):
        parse(text)


@pytest.mark.parametrize("text", ["", "a/+${client_id}", "${client_id}#", "$share/g/a", "$share", "a/#/${client_id}"])
def test_templates_that_are_no_filters_are_refused(text: str) -> None:
    with pytest.raises(InvalidTopic):
        parse(text)


def test_placeholders_are_listed_once_each() -> None:
    assert placeholders("${domain}/${client_id}/${domain}") == ("domain", "client_id")
