"""What is kept of a password, as each make of broker spells it: against the verified examples of the references."""

from __future__ import annotations

import base64
import json

import bcrypt
import pytest

from brokers.core import password_texts as texts
from brokers.core.password_texts import EseColumns
from brokers.core.ports import DesiredState, RenderSubject
from devices.core.password_verifier import PasswordVerifier
from tests.brokers.subjects import UP, subject

_SIXTEEN = bytes(range(16))


def verifier(password: str, salt: bytes, iterations: int = 1_000) -> PasswordVerifier:
    return PasswordVerifier.of(password, salt=salt, iterations=iterations)


@pytest.mark.parametrize(
    ("password", "salt", "iterations", "column"),
    [
        ("device-secret", _SIXTEEN, 100, "frNNrQ9oWTA4QLGoKsAHFW9aAS3yScRq0lLUtvBFhUU="),
        ("device-secret", _SIXTEEN, 210_000, "LHE7lNeDTfSIendTZXOnSvOd0qc5EBIEvcRXfDosm3Q="),
        ("password", b"salt", 10, "3tX9NqzigBkQgHCstazJ24kusEIw9x7Np3wNv5fjio0="),
    ],
)
def test_hivemq_gets_what_its_own_tool_makes(password: str, salt: bytes, iterations: int, column: str) -> None:
    found = texts.ese(verifier(password, salt, iterations))
    assert found == EseColumns(column, iterations, base64.b64encode(salt).decode(), "PKCS5S2")


def test_mosquitto_gets_what_mosquitto_ctrl_made() -> None:
    found = texts.mosquitto(verifier("adminpw", base64.b64decode("NilWFewyj0hVc1V2"), 101))
    assert found == (
        "$7$101$NilWFewyj0hVc1V2$"
        "9EMkijFgcO2OgmXFL5JMmrJmczNuif1SWJD7e7Xor4KXy/hh7iLcwTi7TNLgC1K9GxGNbsgE9J5cZhFQT2KgqQ=="
    )


def test_rabbitmq_gets_what_its_manual_works_out() -> None:
    # "Computing Password Hashes": the password test12 with the salt 90 8D C6 0A
    found = texts.rabbitmq(verifier("test12", bytes.fromhex("908DC60A")))
    assert found == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


def test_goauth_gets_what_its_documentation_shows() -> None:
    # the user of its README and tests, whose password is testpw there
    found = texts.goauth(verifier("testpw", base64.b64decode("os24lcPr9cJt2QDVWssblQ=="), 100_000))
    assert found == (
        "PBKDF2$sha512$100000$os24lcPr9cJt2QDVWssblQ==$"
        "BK1BQ2wbwU1zNxv3Ml3wLuu5//hPop3/LvaPYjjCwdBvnpwusnukJPpcXQzyyjOlZdieXTx6sXAcX4WnZRZZnw=="
    )


def test_vernemq_gets_what_its_script_checks() -> None:
    known = verifier("k7mw-ace2", b"abcdefghijkm")
    assert bcrypt.hashpw(b"k7mw-ace2", texts.vernemq(known).encode()).decode() == texts.vernemq(known)


def test_emqx_gets_the_hash_and_the_salt_in_front_of_it() -> None:
    # printf abcdk7mw-ace2 | sha256sum; emqx_passwd: hash({sha256, Salt, prefix}, Password) is hex, in small letters
    assert json.loads(texts.emqx(verifier("k7mw-ace2", b"abcdefghijkm"))) == {
        "password_hash": "0aaeb1bc29401bdf7cf94e445d416ea061bff8d52735cefa07bb9a63029836fd",
        "salt": "abcd",
    }


def test_only_who_has_a_password_is_told_of() -> None:
    plain = subject("alpha", UP)
    known = verifier("k7mw-ace2", b"abcdefghijkm")
    with_one = RenderSubject(principal=subject("beta").principal, policy=(), state=plain.state, password=known)
    found = texts.texts_in(DesiredState(subjects=(plain, with_one)), texts.mosquitto)
    assert found == {"beta": texts.mosquitto(known)}
    assert texts.fingerprints(found).keys() == {"beta"}
    assert "assword" not in repr(with_one)
