"""Authentication chains: whom a CONNECT is about, later as at the login, and never more than is proved."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from brokers.core.auth_chains.chain import AuthChain, Told, walk
from brokers.core.auth_chains.document import InvalidAuthChain, chain_document, read_chain, refuse_for
from brokers.core.auth_chains.terms import AuthTerms
from brokers.core.decide.decisions import (
    Acts,
    Identity,
    Judgement,
    Login,
    Method,
    Password,
    Presence,
    Question,
    Wish,
    WishKind,
)
from brokers.core.decide.judging import Judged, judge
from brokers.core.decide.snippets import Dialect
from tests.brokers.core.deciding import NOW, PROOFS, PUMP, TOKEN


def step(do: str, field: str, value: str, *, optional: bool = False) -> dict[str, Any]:
    return {"do": do, "field": field, "value": value, "optional": optional}


def chain(*steps: dict[str, Any], methods: tuple[str, ...] = ("certificate", "token", "password")) -> AuthChain:
    return read_chain({"steps": list(steps), "methods": list(methods)})


def certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [(NameOID.COMMON_NAME, "device:pump-1"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "hall"),
             (NameOID.ORGANIZATIONAL_UNIT_NAME, "roof"), (NameOID.ORGANIZATION_NAME, "acme")]  # fmt: skip
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    alternative = [x509.UniformResourceIdentifier("urn:dev:pump-1"), x509.DNSName("pump-1.example")]
    now = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 0x0AF3, now, now + dt.timedelta(days=1))
    made = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.DER)


CERTIFICATE = certificate()
FROM_DN = step("regex", "username", "CN=(?P<username>[^,]+),O=acme")
FROM_CN = step("certificate", "username", "cn")


def test_steps_work_on_each_other_in_their_order() -> None:
    found = walk(
        chain(
            step("regex", "username", r"(?P<plant>[a-z]+)\.(?P<number>\d+)"),
            step("set", "username", "pump-${number}"),
            step("set", "greeting", "$1 for ${plant}"),
            step("copy", "client_id", "username"),
        ).steps,
        Told(username="north.17", client_id="whatever"),
    )
    assert (found.username, found.client_id, found.refused) == ("pump-17", "pump-17", "")
    assert [dict(each.gave) for each in found.effects] == [
        {"plant": "north", "number": "17"},
        {"username": "pump-17"},
        {"greeting": "$1 for north"},
        {"client_id": "pump-17"},
    ]


def test_what_does_not_fit_refuses_unless_it_is_optional() -> None:
    strict = walk(chain(FROM_DN).steps, Told(username="pump-1"))
    assert strict.refused == "Step 1 of the authentication chain: username does not match."
    lax = walk(chain(FROM_DN | {"optional": True}).steps, Told(username="pump-1"))
    assert (lax.refused, lax.username, lax.effects[0].fault) == ("", "pump-1", "username does not match.")


def test_what_a_broker_does_not_tell_refuses_even_what_is_optional() -> None:
    """Else a login that tells less would be about another than the publish that follows."""
    copied = chain(step("copy", "username", "client_id", optional=True))
    assert walk(copied.steps, Told(username="pump-1")).refused
    named = chain(FROM_CN | {"optional": True})
    assert walk(named.steps, Told(username="pump-1", tells_name=True)).refused
    without = walk(named.steps, Told(username="pump-1", common_name="", tells_name=True))
    assert (without.refused, without.username) == ("", "pump-1")


@pytest.mark.parametrize(
    ("part", "held"),
    [
        ("cn", "device:pump-1"), ("o", "acme"), ("ou", None), ("san_uri", "urn:dev:pump-1"),
        ("san_dns", "pump-1.example"), ("serial", "0af3"),
    ],
)  # fmt: skip
def test_a_part_of_the_certificate_is_had_if_there_is_exactly_one(part: str, held: str | None) -> None:
    steps = chain(step("certificate", "found", part)).steps
    found = walk(steps, Told(username="u", certificate=CERTIFICATE))
    assert found.effects[0].gave.get("found") == held
    assert bool(found.refused) is (held is None)
    for der in (None, b"", b"no DER"):
        assert walk(steps, Told(username="u", certificate=der)).refused


def test_values_are_bounded() -> None:
    twice = [step("set", "username", "${username}${username}")] * 20
    assert walk(chain(*twice).steps, Told(username="ab")).refused.startswith("Step 8 ")  # 2 · 2^8 = 512
    assert walk(chain(*twice).steps, Told(username="a" * 60_000)).refused.startswith("Step 1 ")


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ([step("regex", "username", "(a|b)")], "/steps/0/value"),
        ([step("regex", "nobody", "a")], "/steps/0/field"),
        ([step("set", "x", "a"), step("set", "y", "${z}")], "/steps/1/value"),
        ([step("set", "x", "${x")], "/steps/0/value"),
        ([step("set", "x", "a\nb")], "/steps/0/value"),
        ([step("set", "x", "a" * 257)], "/steps/0/value"),
        ([step("set", "Username", "a")], "/steps/0/field"),
        ([step("copy", "username", "password")], "/steps/0/value"),
        ([step("certificate", "username", "email")], "/steps/0/value"),
        ([step("set", "x", "a")] * 21, "/steps"),
    ],
)
def test_what_can_not_be_meant_is_refused_by_step(document: list[dict[str, Any]], pointer: str) -> None:
    with pytest.raises(InvalidAuthChain) as refused:
        chain(*document)
    assert refused.value.errors[0].pointer == pointer


@pytest.mark.parametrize("methods", [(), ("token", "token")])
def test_methods_are_named_once(methods: tuple[str, ...]) -> None:
    with pytest.raises(InvalidAuthChain):
        chain(methods=methods)


def test_a_document_reads_as_what_it_was_written_from() -> None:
    written = chain(FROM_DN, FROM_CN | {"optional": True}, methods=("password",))
    assert read_chain(chain_document(written)) == written


JUDGING_OU = (step("certificate", "unit", "o"), step("regex", "unit", "acme"))


@pytest.mark.parametrize(
    ("dialect", "steps", "pointer"),
    [
        (Dialect.EMQX, (FROM_CN,), None),
        (Dialect.NANOMQ, (FROM_CN,), None),
        (Dialect.VERNEMQ, (FROM_CN,), "/steps/0/value"),
        (Dialect.RABBITMQ, (FROM_CN,), "/steps/0/value"),
        (Dialect.GOAUTH, JUDGING_OU, "/steps/0/value"),
        (Dialect.NANOMQ, JUDGING_OU, "/steps/0/value"),
        (Dialect.EMQX, JUDGING_OU, None),
        (Dialect.VERNEMQ, JUDGING_OU, None),
        (Dialect.EMQX, (*JUDGING_OU, step("set", "client_id", "${unit}-${username}")), "/steps/0/value"),
        (Dialect.EMQX, (*JUDGING_OU, step("copy", "username", "unit", optional=True)), "/steps/0/value"),
        (Dialect.EMQX, (*JUDGING_OU, step("set", "unit", "x"), step("copy", "username", "unit")), None),
    ],
)
def test_names_come_only_from_what_the_broker_tells_each_time(
    dialect: Dialect, steps: tuple[dict[str, Any], ...], pointer: str | None
) -> None:
    made = chain(*steps)
    if pointer is None:
        refuse_for(made, dialect)
        return
    with pytest.raises(InvalidAuthChain) as refused:
        refuse_for(made, dialect)
    assert refused.value.errors[0].pointer == pointer
    if refused.value.errors[0].code == "login-alone":  # and it was saved for another kind of broker
        found = AuthTerms(made).understand(PUBLISHES, Identity.SHOWN, dialect=dialect)
        assert isinstance(found, Judgement)
        assert not found.all_allowed


def login(username: str, **members: Any) -> Login:
    return Login(username=username, client_id="pump-1", **members)


UP = (Wish(kind=WishKind.PUBLISH, topic="north/pump-1/up/t"),)
PUBLISHES = Acts(username="CN=pump-1,O=acme", client_id="pump-1", wishes=UP)


def lets(
    made: AuthChain, question: Question, *, identity: Identity = Identity.SHOWN, dialect: Dialect = Dialect.RABBITMQ
) -> bool:
    """Whether it is allowed, if PUMP is who the chain says."""
    terms = AuthTerms(made)
    understood = terms.understand(question, identity, dialect=dialect)
    if isinstance(understood, Judgement) or understood[0].username != PUMP.principal.auth_id:
        return False
    asked, believed = understood
    return judge(asked, Judged.of(PUMP), believed, proofs=PROOFS, methods=terms.methods, now=NOW).all_allowed


def test_a_publish_is_about_whoever_logged_in() -> None:
    made = chain(FROM_DN)
    assert lets(made, login("CN=pump-1,O=acme", password=Password(TOKEN)))
    assert lets(made, PUBLISHES)
    assert lets(made, Presence(username="CN=pump-1,O=acme", client_id="pump-1"))
    assert not lets(made, Acts(username="pump-1", client_id="pump-1", wishes=UP))
    assert not lets(made, Acts(username="CN=pump-2,O=acme", client_id="pump-1", wishes=UP))
    assert not lets(made, Acts(username="CN=pump-1,O=acme", client_id="pump-2", wishes=UP))


def test_who_comes_out_has_to_be_proved_by_its_own() -> None:
    made = chain(step("set", "username", "pump-1"), step("copy", "client_id", "username"))
    assert lets(made, login("anybody", certificate=b"good"))
    assert lets(made, login("anybody", password=Password("correct horse")))
    assert not lets(made, login("anybody", certificate=b"bad"))
    assert not lets(made, login("anybody", password=Password("wrong")))
    assert not lets(made, login("anybody"), identity=Identity.CERTIFICATE)


@pytest.mark.parametrize(
    ("steps", "believed"),
    [
        ((), True),
        ((FROM_DN,), True),
        ((step("regex", "username", "CN=(?P<username>[^,]+),O=.*"),), False),  # CN=pump-1,O=elsewhere is another
        ((FROM_DN | {"optional": True},), False),
        ((step("regex", "client_id", "(?P<username>.*)"),), False),
        ((step("copy", "username", "client_id"),), False),
        ((step("set", "username", "pump-1"),), False),
        ((step("copy", "own", "client_id"),), True),
        ((FROM_DN, step("set", "username", "x-${username}"), step("regex", "username", "x-(?P<username>.*)")), True),
        ((step("set", "username", "${username}${client_id}"), step("set", "username", "pump-1")), False),
    ],
)
def test_a_name_is_believed_only_if_no_other_could_have_become_it(
    steps: tuple[dict[str, Any], ...],
    believed: bool,
) -> None:
    made, name = chain(*steps), "CN=pump-1,O=acme" if FROM_DN in steps or "O=" in str(steps) else "pump-1"
    assert lets(made, login(name), identity=Identity.CERTIFICATE) is believed
    acts = Acts(username=name, client_id="pump-1", wishes=UP, by_name_alone=True)
    assert lets(made, acts, identity=Identity.CERTIFICATE, dialect=Dialect.GOAUTH) is believed


def test_by_name_alone_nobody_gets_around_what_only_a_login_is_judged_by() -> None:
    acts = Acts(username="pump-1", client_id="pump-1", wishes=UP, by_name_alone=True)
    assert lets(chain(), acts, identity=Identity.CERTIFICATE, dialect=Dialect.GOAUTH)
    assert not lets(chain(*JUDGING_OU), acts, identity=Identity.CERTIFICATE, dialect=Dialect.GOAUTH)


def test_a_common_name_that_was_made_use_of_need_not_be_the_username() -> None:
    made = chain(FROM_CN, step("regex", "username", "device:(?P<username>.+)"))
    shown = {"certificate": b"good", "common_name": "device:pump-1"}
    assert lets(made, login("whoever", **shown), dialect=Dialect.EMQX)
    assert lets(
        made, login("whoever", common_name="device:pump-1"), identity=Identity.CERTIFICATE, dialect=Dialect.EMQX
    )
    acts = Acts(username="whoever", client_id="pump-1", wishes=UP, common_name="device:pump-1")
    assert lets(made, acts, dialect=Dialect.EMQX)
    assert not lets(chain(), login("pump-1", **shown), dialect=Dialect.EMQX)


def test_without_a_certificate_an_optional_name_is_that_of_the_connect_and_has_to_be_proved() -> None:
    made = chain(FROM_CN | {"optional": True})
    bare = login("pump-1", common_name="", password=Password("correct horse"))
    assert lets(made, bare, dialect=Dialect.EMQX)
    assert lets(made, Acts(username="pump-1", client_id="pump-1", wishes=UP, common_name=""), dialect=Dialect.EMQX)
    for identity in Identity:
        assert not lets(made, login("pump-1", common_name=""), identity=identity, dialect=Dialect.EMQX)


def test_what_is_judged_of_a_certificate_is_judged_at_the_login() -> None:
    made = chain(*JUDGING_OU)
    proofs = login("pump-1", certificate=CERTIFICATE)
    assert not isinstance(AuthTerms(made).understand(proofs, Identity.SHOWN, dialect=Dialect.VERNEMQ), Judgement)
    other = chain(JUDGING_OU[0], step("regex", "unit", "other"))
    assert isinstance(AuthTerms(other).understand(proofs, Identity.SHOWN, dialect=Dialect.VERNEMQ), Judgement)
    assert lets(other, Acts(username="pump-1", client_id="pump-1", wishes=UP), dialect=Dialect.VERNEMQ)


def test_the_first_method_of_which_there_is_something_decides_alone() -> None:
    both = login("pump-1", certificate=b"bad", password=Password("correct horse"))
    assert not lets(chain(), both)
    assert lets(chain(methods=("password", "certificate")), both)
    assert lets(chain(methods=("password",)), both)
    assert not lets(chain(methods=("password",)), login("pump-1", certificate=b"good"))
    assert not lets(chain(methods=("token",)), login("pump-1", password=Password("correct horse")))
    assert lets(chain(methods=("token",)), login("pump-1", password=Password(TOKEN)))


def test_nobody_is_believed_where_certificates_do_not_count() -> None:
    for methods in (("password",), ("token",), ("token", "password")):
        assert not lets(chain(methods=methods), login("pump-1"), identity=Identity.CERTIFICATE)
    certificates = chain(methods=(Method.CERTIFICATE.value,))
    assert lets(certificates, login("pump-1"), identity=Identity.CERTIFICATE)
    assert not lets(certificates, login("pump-1", password=Password("correct horse")), identity=Identity.CERTIFICATE)
    without = Acts(username="pump-1", client_id="pump-1", wishes=UP, common_name="")
    assert not lets(certificates, without, dialect=Dialect.EMQX)
    assert lets(chain(), without, dialect=Dialect.EMQX)


def test_where_no_client_id_is_told_only_what_is_made_of_it_is_left_out() -> None:
    """RabbitMQ 3.10 asks about a login by certificate with the username alone, and then about the virtual host."""
    several = step("regex", "client_id", "(?P<client_id>.+)-[0-9]")
    made, bare = chain(FROM_DN, several), Login(username="CN=pump-1,O=acme")
    assert lets(made, bare, identity=Identity.CERTIFICATE)
    assert lets(made, Presence(username="CN=pump-1,O=acme", client_id="pump-1-2"))
    assert not lets(made, Presence(username="CN=pump-1,O=acme", client_id="pump-1"))
    assert not lets(made, Presence(username="CN=pump-1,O=acme", client_id="pump-2-2"))
    named = chain(step("copy", "username", "client_id"))
    assert not lets(named, Login(username="pump-1", certificate=b"good"))
    assert lets(named, Login(username="whoever", client_id="pump-1", certificate=b"good"))
