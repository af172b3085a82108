"""Keys as the NATS tools spell them; the vectors are published ones."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from brokers.core.nats.nkeys import AccountKey, BadNkeyError, public_key, verified_claims

# `nsc generate nkey --account`, in the documentation of NATS on auth callout
SEED = "SAANDLKMXL6CUS3CP52WIXBEDN6YJ545GDKC65U5JZPPV6WH6ESWUA6YAI"
PUBLIC = "ABJHLOVMPA4CI6R5KLNGOB4GSLNIY7IOUPAJC4YFNDLQVIOBYQGUWVLA"
# a user's key and its signature of a server's nonce, in the tests of mmmries/nkeys (Elixir)
USER = "UCK5N7N66OBOINFXAYC2ACJQYFSOD4VYNU6APEJTAVFZB2SVHLKGEW7L"
NONCE = b"PXoWU7zWAMt75FY"
SIGNATURE = "ZaAiVDgB5CeYoXoQ7cBCmq+ZllzUnGUoDVb8C7PilWvCs8XKfUchAUhz2P4BYAF++Dg3w05CqyQFRDiGL6LrDw=="
USER_SEED = "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU"


def test_seed_spells_its_public_key() -> None:
    key = AccountKey.from_seed(SEED)
    assert (key.public, key.seed) == (PUBLIC, SEED)


def test_public_key_verifies_what_another_library_signed() -> None:
    public_key(USER, kind="U").verify(base64.b64decode(SIGNATURE), NONCE)
    with pytest.raises(InvalidSignature):
        public_key(USER, kind="U").verify(base64.b64decode(SIGNATURE), NONCE + b"x")


def test_fresh_keys_differ_and_come_back_from_their_seed() -> None:
    one, two = AccountKey.generate(), AccountKey.generate()
    assert one.seed != two.seed
    assert AccountKey.from_seed(one.seed).public == one.public
    assert (one.seed[:2], one.public[:1], len(one.seed), len(one.public)) == ("SA", "A", 58, 56)


def test_repr_hides_the_seed() -> None:
    assert SEED not in repr(AccountKey.from_seed(SEED))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "S",
        "SA",
        "not base32!",
        PUBLIC,
        USER_SEED,
        SEED.lower(),
        SEED[:-1],
        SEED[:-1] + "A",
        "A" + SEED[1:],
        "é" * 58,
    ],
)
def test_no_other_text_is_the_seed_of_an_account(text: str) -> None:
    with pytest.raises(BadNkeyError):
        AccountKey.from_seed(text)


@pytest.mark.parametrize("text", ["", USER_SEED, PUBLIC, USER[:-1] + "M", USER[1:], USER.lower()])
def test_no_other_text_is_a_users_public_key(text: str) -> None:
    with pytest.raises(BadNkeyError):
        public_key(text, kind="U")


@given(st.text(max_size=80))
def test_no_text_is_more_than_bad(text: str) -> None:
    for check in (AccountKey.from_seed, lambda found: public_key(found, kind="N")):
        with pytest.raises(BadNkeyError):
            check(text)


def test_jwt_has_the_header_of_nats_and_verifies() -> None:
    key = AccountKey.from_seed(SEED)
    token = key.sign({"iss": PUBLIC, "sub": "x"})
    head = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert head == {"typ": "JWT", "alg": "ed25519-nkey"}
    assert verified_claims(token, kind="A") == {"iss": PUBLIC, "sub": "x"}


def segment(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def test_jwt_of_another_making_is_refused() -> None:
    key, other = AccountKey.from_seed(SEED), AccountKey.generate()
    head, payload, signature = key.sign({"iss": PUBLIC, "sub": "x"}).split(".")
    changed = segment({"iss": PUBLIC, "sub": "y"})
    bad = [
        other.sign({"iss": PUBLIC}),  # says that it is somebody else's
        f"{head}.{changed}.{signature}",
        f"{segment({'typ': 'JWT', 'alg': 'none'})}.{payload}.",
        f"{segment({'typ': 'JWT', 'alg': 'HS256'})}.{payload}.{signature}",
        f"{head}.{payload}",
        f"{head}.{payload}.{signature}.x",
        key.sign({"sub": "x"}),
        f"{head}.{segment([1])}.{signature}",
        f"{segment('x')}.{payload}.{signature}",
        "",
        "..",
        "é.é.é",
    ]
    for token in bad:
        with pytest.raises(BadNkeyError):
            verified_claims(token, kind="A")


def test_jwt_by_a_key_of_another_kind_is_refused() -> None:
    with pytest.raises(BadNkeyError):
        verified_claims(AccountKey.from_seed(SEED).sign({"iss": PUBLIC}), kind="N")


@given(st.text(max_size=200))
def test_no_text_is_more_than_no_jwt(text: str) -> None:
    with pytest.raises(BadNkeyError):
        verified_claims(text, kind="N")
