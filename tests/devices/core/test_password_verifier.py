"""What is kept of a password, against what OpenSSL and the references say of the same one."""

from __future__ import annotations

import base64
import math
import re

import bcrypt

from devices.core.password_verifier import PasswordVerifier, new_password, new_salt


def test_digests_are_those_that_others_worked_out() -> None:
    # openssl kdf -keylen 64 -kdfopt digest:SHA512 -kdfopt pass:k7mw-ace2 -kdfopt salt:abcdefghijkm -kdfopt iter:1000 \
    #   PBKDF2; and: printf abcdk7mw-ace2 | openssl dgst -sha256
    found = PasswordVerifier.of("k7mw-ace2", salt=b"abcdefghijkm")
    assert found.pbkdf2_sha512 == bytes.fromhex(
        "19a0e8499acf0b8f6b56d897b06e2e997b16069e0e2c8108f791e62f2186b9c9"
        "00a9e4f50aeaedce32bebeba3b32c8994b572900b1e8e9b09bb3b636f1dc4294"
    )
    assert found.sha256.hex() == "0aaeb1bc29401bdf7cf94e445d416ea061bff8d52735cefa07bb9a63029836fd"


def test_published_vector_of_hivemq_is_met() -> None:
    found = PasswordVerifier.of("pass1", salt=b"XSPQPtRLc3N1kHRGPP4hn92JW7emp8n9", iterations=100)
    assert base64.b64encode(found.pbkdf2_sha512).decode() == (
        "FY12nwpUEbBK9EKQ/Aw/rQKSoA7jXsC0HKELwU2mLCVU39bJVK0zf4NemuFeDOHPO4BW1nOjxi6NporkC6rUog=="
    )


def test_bcrypted_text_is_what_crypt_makes_of_it() -> None:
    # select crypt('device-secret', '$2a$04$09a08069fd8765a1f1483.'), with PostgreSQL's pgcrypto
    found = PasswordVerifier.of("device-secret", salt=b"abcdefghijkm")
    assert found.bcrypted == "$2a$04$09a08069fd8765a1f1483.kB7WBywCTkBqe6YWdW9Mj0P6jDGblaK"
    made = PasswordVerifier.of(text := new_password(), salt=new_salt())
    assert made.bcrypted.startswith("$2a$04$")
    assert bcrypt.checkpw(text.encode(), made.bcrypted.encode())
    assert not bcrypt.checkpw(text[:-1].encode(), made.bcrypted.encode())


def test_only_the_very_password_is_it() -> None:
    found = PasswordVerifier.of("k7mw-ace2", salt=new_salt())
    assert found.is_of("k7mw-ace2")
    assert not any(map(found.is_of, ("", "k7mw-ace", "k7mw-ace2 ", "K7MW-ACE2", "k7mw-ace2\0", "\ud800")))


def test_it_is_stored_whole_and_shown_without_its_digests() -> None:
    found = PasswordVerifier.of("k7mw-ace2", salt=b"abcdefghijkm")
    assert PasswordVerifier.from_json(found.to_json()) == found
    assert repr(found) == "PasswordVerifier(salt=b'abcdefghijkm', iterations=1000)"
    assert "k7mw-ace2" not in str(found.to_json())


def test_passwords_have_more_than_128_bits_and_no_letter_that_is_taken_for_another() -> None:
    made = {new_password() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(re.fullmatch(r"[2-9a-hjkmnp-z]{4}(-[2-9a-hjkmnp-z]{4}){6}", each) for each in made)
    letters = set("".join(made)) - {"-"}
    assert 28 * math.log2(len(letters)) > 128
    assert re.fullmatch(rb"[2-9a-hjkmnp-z]{12}", new_salt())
