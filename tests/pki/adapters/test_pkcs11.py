"""Keys in a hardware token: SoftHSM, with p11tool and openssl to tell what is in it and what it signed."""

from __future__ import annotations

import copy
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kernel.core.ids import new_id
from kernel.core.secrets import Hidden
from pki.adapters.pkcs11 import TokenKeys
from pki.adapters.token_link import NoToken, TokenAway, token_link
from pki.core.keys import KeyStays, generate_key, key_to_der, sign
from pki.core.ports import AlgorithmNotKept, KeptKey, KeyGone
from pki.core.signatures import is_signed_by
from pki.core.values import KeyAlgorithm, KeyId
from tests.pki import softhsm
from tests.pki.conftest import openssl

KEPT = [KeyAlgorithm.ECDSA_P256, KeyAlgorithm.ECDSA_P384, KeyAlgorithm.RSA_3072, KeyAlgorithm.ED25519]


def fresh_id() -> KeyId:
    return KeyId(new_id())


@pytest.fixture
def kept(token: str) -> KeptKey:
    return TokenKeys().generate(fresh_id(), KeyAlgorithm.ECDSA_P256)[0]


@pytest.mark.parametrize("algorithm", KEPT)
def test_openssl_verifies_what_the_token_signed(algorithm: KeyAlgorithm, token: str, tmp_path: Path) -> None:
    _, key = TokenKeys().generate(fresh_id(), algorithm)
    public_key = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(public_key)
    (tmp_path / "text").write_bytes(b"to be signed")
    (tmp_path / "signature").write_bytes(sign(key, b"to be signed"))
    digest = [] if algorithm is KeyAlgorithm.ED25519 else ["-digest", "sha384" if "384" in algorithm else "sha256"]
    files: list[str | Path] = ["-inkey", tmp_path / "key.pem", "-in", tmp_path / "text"]
    files += ["-sigfile", tmp_path / "signature"]
    assert "Verified" in openssl("pkeyutl", "-verify", "-pubin", "-rawin", *files, *digest)


def test_p11tool_says_that_the_key_stays(kept: KeptKey, token: str) -> None:
    said = softhsm.private_keys(token)
    assert f"gatehouse {kept.id}" in said
    assert "CKA_SENSITIVE" in said
    assert "CKA_NEVER_EXTRACTABLE" in said
    assert "CKA_EXTRACTABLE" not in said.replace("CKA_NEVER_EXTRACTABLE", "")


def test_the_place_is_a_pkcs11_uri_that_p11tool_finds(kept: KeptKey, token: str) -> None:
    assert kept.locator.startswith(f"pkcs11:token={token};id=%")
    assert kept.id.hex[:2] in kept.locator
    assert (
        softhsm.private_keys(kept.locator.removeprefix("pkcs11:token=").removesuffix(";type=private")).count("URL:")
        == 1
    )


@pytest.mark.parametrize("algorithm", KEPT)
def test_nothing_takes_the_key_out(algorithm: KeyAlgorithm, token: str) -> None:
    _, key = TokenKeys().generate(fresh_id(), algorithm)
    with pytest.raises(KeyStays):
        key_to_der(key)
    with pytest.raises(KeyStays):
        key.private_numbers() if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else key_to_der(key)
    assert copy.copy(key) is copy.deepcopy(key) is key
    assert token not in repr(key)


@pytest.mark.parametrize("algorithm", KEPT)
def test_an_adopted_key_signs_and_stays_from_then_on(algorithm: KeyAlgorithm, token: str) -> None:
    own = generate_key(algorithm)
    key = TokenKeys().open(TokenKeys().adopt(fresh_id(), own, algorithm))
    assert key.public_key() == own.public_key()
    assert is_signed_by(own.public_key(), signature=sign(key, b"x"), octets=b"x")
    with pytest.raises(KeyStays):
        key_to_der(key)
    assert "CKA_EXTRACTABLE" not in softhsm.private_keys(token)


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.ML_DSA_44, KeyAlgorithm.ML_DSA_65, KeyAlgorithm.ML_DSA_87])
def test_what_the_token_can_not_do_is_refused(algorithm: KeyAlgorithm, token: str) -> None:
    with pytest.raises(AlgorithmNotKept, match=f"no {algorithm} keys: choose"):
        TokenKeys().generate(fresh_id(), algorithm)
    with pytest.raises(AlgorithmNotKept):
        TokenKeys().adopt(fresh_id(), generate_key(algorithm), algorithm)


def test_other_hashes_are_for_preferred_signature_algorithms(token: str) -> None:
    _, key = TokenKeys().generate(fresh_id(), KeyAlgorithm.ECDSA_P256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(b"x", ec.ECDSA(hashes.SHA512()))
    key.public_key().verify(signature, b"x", ec.ECDSA(hashes.SHA512()))
    with pytest.raises(UnsupportedAlgorithm):
        key.sign(b"x", ec.ECDSA(hashes.SHA1()))
    _, other = TokenKeys().generate(fresh_id(), KeyAlgorithm.RSA_3072)
    assert isinstance(other, rsa.RSAPrivateKey)
    with pytest.raises(UnsupportedAlgorithm):
        other.sign(b"x", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


def test_a_destroyed_key_is_gone(kept: KeptKey, token: str) -> None:
    TokenKeys().destroy(kept)
    assert softhsm.private_keys(token).count("URL:") == 0
    with pytest.raises(KeyGone, match="was it replaced"):
        TokenKeys().open(kept)
    TokenKeys().destroy(kept)


def test_a_key_of_another_token_is_not_looked_for_here(kept: KeptKey, token: str, settings: Any) -> None:
    settings.GATEHOUSE_PKCS11_TOKEN = "another"
    with pytest.raises(KeyGone, match=token):
        TokenKeys().open(kept)


def test_threads_sign_with_one_key(kept: KeptKey) -> None:
    key = TokenKeys().open(kept)
    found: list[bool] = []

    def sign_often() -> None:
        for number in range(50):
            octets = str(number).encode()
            found.append(is_signed_by(key.public_key(), signature=sign(key, octets), octets=octets))

    threads = [threading.Thread(target=sign_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert found == [True] * 400


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_signs_and_so_does_its_parent_after_it(kept: KeptKey) -> None:
    key = TokenKeys().open(kept)
    sign(key, b"before")
    child = os.fork()
    if not child:
        good = is_signed_by(key.public_key(), signature=sign(key, b"child"), octets=b"child")
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert is_signed_by(key.public_key(), signature=sign(key, b"parent"), octets=b"parent")


@pytest.fixture
def unplugged() -> Iterator[Path]:
    """A folder that the tokens can be moved to."""
    tokens = softhsm.tokens_folder()
    away = tokens.with_name("away")
    yield away
    if away.exists():
        shutil.move(away, tokens)


def test_a_token_that_went_away_is_said_and_found_again(kept: KeptKey, unplugged: Path) -> None:
    key = TokenKeys().open(kept)
    tokens = softhsm.tokens_folder()
    shutil.move(tokens, unplugged)
    for _ in range(2):
        with pytest.raises(TokenAway, match="is it plugged in"):
            sign(key, b"x")
    shutil.move(unplugged, tokens)
    assert is_signed_by(key.public_key(), signature=sign(key, b"x"), octets=b"x")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what the binding says as it goes
def test_a_lost_session_is_opened_again(kept: KeptKey) -> None:
    key = TokenKeys().open(kept)
    token_link().run(lambda session: session.close())
    assert is_signed_by(key.public_key(), signature=sign(key, b"x"), octets=b"x")


def test_a_refused_pin_is_tried_once_and_named(token: str, settings: Any) -> None:
    settings.GATEHOUSE_PKCS11_PIN = Hidden("wrong-pin")
    for _ in range(20):  # a token locks itself long before
        with pytest.raises(NoToken, match="GATEHOUSE_PKCS11_PIN") as raised:
            TokenKeys().generate(fresh_id(), KeyAlgorithm.ECDSA_P256)
        assert "wrong-pin" not in str(raised.value)
    settings.GATEHOUSE_PKCS11_PIN = Hidden(softhsm.PIN)
    TokenKeys().generate(fresh_id(), KeyAlgorithm.ECDSA_P256)


def test_no_token_set_says_what_to_set(settings: Any) -> None:
    settings.GATEHOUSE_PKCS11_MODULE = ""
    with pytest.raises(NoToken, match="GATEHOUSE_PKCS11_MODULE, GATEHOUSE_PKCS11_TOKEN and GATEHOUSE_PKCS11_PIN"):
        TokenKeys().generate(fresh_id(), KeyAlgorithm.ECDSA_P256)


def test_a_library_that_is_none_says_so(settings: Any) -> None:
    settings.GATEHOUSE_PKCS11_MODULE, settings.GATEHOUSE_PKCS11_TOKEN = "/usr/lib/none.so", "t"
    with pytest.raises(TokenAway, match=r"/usr/lib/none\.so"):
        TokenKeys().generate(fresh_id(), KeyAlgorithm.ECDSA_P256)
