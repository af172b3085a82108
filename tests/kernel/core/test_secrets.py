"""Wrapping, derivation and hashes of secrets."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.core.errors import Invalid
from kernel.core.secrets import Hidden, MasterKey, MasterKeys, WrongKey, new_token

KEY = MasterKey(bytes(range(32)))


def hkdf_sha256(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 with an absent salt, one block, by the standard library."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def test_derived_key_is_hkdf_sha256() -> None:
    assert KEY.derive("kernel.journal.seal") == hkdf_sha256(bytes(range(32)), b"kernel.journal.seal")


def test_key_id_is_derived_one_way() -> None:
    assert KEY.id == hkdf_sha256(bytes(range(32)), b"kernel.master_key.id")[:8]


def test_keyed_hash_is_the_key_s_id_and_hmac_under_the_derived_key() -> None:
    expected = hmac.new(hkdf_sha256(bytes(range(32)), b"tokens"), b"abc", hashlib.sha256).digest()
    assert KEY.keyed_hash("abc", purpose="tokens") == KEY.id[:4] + expected[:28]


@given(st.binary(max_size=200))
def test_what_is_wrapped_comes_back(plaintext: bytes) -> None:
    envelope = KEY.wrap(plaintext, purpose="p", context="row-1")
    assert KEY.unwrap(envelope, purpose="p", context="row-1") == plaintext


@pytest.mark.parametrize(
    ("key", "purpose", "context"),
    [(MasterKey(bytes(32)), "p", "row-1"), (KEY, "q", "row-1"), (KEY, "p", "row-2")],
)
def test_other_key_purpose_or_row_opens_nothing(key: MasterKey, purpose: str, context: str) -> None:
    envelope = KEY.wrap(b"secret", purpose="p", context="row-1")
    with pytest.raises(WrongKey):
        key.unwrap(envelope, purpose=purpose, context=context)


def test_every_changed_octet_is_noticed() -> None:
    envelope = KEY.wrap(b"secret", purpose="p", context="row-1")
    for place in range(len(envelope)):
        changed = bytes(octet ^ (1 if at == place else 0) for at, octet in enumerate(envelope))
        with pytest.raises(WrongKey):
            KEY.unwrap(changed, purpose="p", context="row-1")


@pytest.mark.parametrize("envelope", [b"", b"\x02", b"\x02" + KEY.id, b"\x02" + KEY.id + bytes(12)])
def test_cut_envelope_is_refused(envelope: bytes) -> None:
    with pytest.raises(WrongKey):
        KEY.unwrap(envelope, purpose="p", context="row-1")


OLDER = MasterKey(bytes(range(1, 33)))
BOTH = MasterKeys(KEY, (OLDER,))


def test_an_envelope_opens_under_the_key_that_it_names() -> None:
    assert BOTH.unwrap(OLDER.wrap(b"old", purpose="p", context="1"), purpose="p", context="1") == b"old"
    assert BOTH.unwrap(BOTH.wrap(b"new", purpose="p", context="1"), purpose="p", context="1") == b"new"


def test_what_is_wrapped_anew_needs_the_older_key_no_longer() -> None:
    envelope = BOTH.rewrap(OLDER.wrap(b"old", purpose="p", context="1"), purpose="p", context="1")
    assert envelope is not None
    assert KEY.unwrap(envelope, purpose="p", context="1") == b"old"
    assert BOTH.rewrap(envelope, purpose="p", context="1") is None


def test_unknown_master_key_is_named_and_the_setting_too() -> None:
    envelope = OLDER.wrap(b"old", purpose="p", context="1")
    with pytest.raises(WrongKey, match=rf"{OLDER.id.hex()}.*GATEHOUSE_MASTER_KEY_PREVIOUS"):
        MasterKeys(KEY).unwrap(envelope, purpose="p", context="1")


def test_a_hash_made_under_an_older_key_is_believed_while_it_is_configured() -> None:
    stored = OLDER.keyed_hash("token", purpose="p")
    assert BOTH.is_hash_of(stored, "token", purpose="p")
    assert not BOTH.is_hash_of(stored, "tokem", purpose="p")
    assert not MasterKeys(KEY).is_hash_of(stored, "token", purpose="p")
    assert [KEY.made(stored), OLDER.made(stored)] == [False, True]


def test_repr_hides_a_text() -> None:
    pin = Hidden("471100")
    assert "471100" not in f"{pin!r} {pin} {[pin]}"
    assert pin.reveal() == "471100"


def test_repr_hides_the_key() -> None:
    shown = f"{KEY!r} {KEY}"
    assert shown == "MasterKey(hidden) MasterKey(hidden)"


@pytest.mark.parametrize("text", ["", "abc", "ä" * 44, base64.b64encode(bytes(31)).decode(), "*" * 44])
def test_master_key_of_wrong_form_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        MasterKey.from_base64(text)


def test_master_key_reads_its_own_base64_with_or_without_padding() -> None:
    text = KEY.to_base64()
    assert MasterKey.from_base64(text + "\n").derive("x") == MasterKey.from_base64(text.rstrip("=")).derive("x")


def test_new_token_has_the_asked_for_octets() -> None:
    token = new_token(24)
    assert len(base64.urlsafe_b64decode(token)) == 24
    assert token != new_token(24)
