"""Lists of weak keys. The known answer is a real one: the key that Debian's OpenSSL 0.9.8c made as process 4242 on a
32-bit big-endian machine with a ~/.rnd, as badkeys/debianopenssl publishes it (rsa2048/ssl/be32/4242-rnd.key)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki.adapters.weak_key_lists import read_key_list
from pki.core.csr import facts_of
from pki.core.key_checks import WeakKey
from pki.core.weak_keys import (
    BadKeyList,
    badkeys_mark,
    debian_mark,
    lists_in_use,
    read_badkeys_list,
    read_debian_list,
    reason_if_weak,
    use_lists,
)
from tests.pki.conftest import openssl
from tests.pki.core.debian_key import DEBIAN_KEY


@pytest.fixture(autouse=True)
def _lists_as_before() -> Iterator[None]:
    before = lists_in_use()
    use_lists([])
    yield
    use_lists(before)


def pem_of(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, folder: Path) -> Path:
    path = folder / "key.pem"
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def test_debians_mark_is_made_of_what_openssl_prints(tmp_path: Path) -> None:
    said = openssl("rsa", "-pubin", "-in", pem_of(DEBIAN_KEY, tmp_path), "-noout", "-modulus")
    assert said.startswith("Modulus=")
    assert debian_mark(DEBIAN_KEY) == bytes.fromhex(hashlib.sha1(said.encode()).hexdigest()[20:])


def test_badkeys_mark_is_of_the_modulus_without_zeros(tmp_path: Path) -> None:
    said = openssl("rsa", "-pubin", "-in", pem_of(DEBIAN_KEY, tmp_path), "-noout", "-modulus")
    modulus = bytes.fromhex(said.strip().removeprefix("Modulus="))
    assert badkeys_mark(DEBIAN_KEY) == hashlib.sha256(modulus.lstrip(b"\0")).digest()[:15]


def test_badkeys_mark_of_a_point_is_of_its_x(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    said = openssl("ec", "-pubin", "-in", pem_of(key, tmp_path), "-noout", "-text")
    point = bytes.fromhex(
        "".join(line.strip() for line in said.splitlines() if line.startswith("    ")).replace(":", "")
    )
    assert badkeys_mark(key) == hashlib.sha256(point[1:33].lstrip(b"\0")).digest()[:15]


def test_badkeys_mark_of_ed25519_is_of_the_key_itself() -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x02").public_key()
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert badkeys_mark(key) == hashlib.sha256(raw.lstrip(b"\0")).digest()[:15]


def test_known_key_is_found_among_others_in_either_list() -> None:
    mark = debian_mark(DEBIAN_KEY)
    assert mark is not None
    others = [hashlib.sha1(bytes([number])).hexdigest()[20:] for number in range(200)]
    text = "# openssl-blacklist\n" + "\n".join([*others, mark.hex(), ""])
    found = read_debian_list(text.encode()).weakness_of(DEBIAN_KEY)
    assert found is not None
    assert found.code == "debian"
    records = sorted([*(hashlib.sha256(bytes([number])).digest()[:16] for number in range(200))])
    assert read_badkeys_list(b"".join(records)).weakness_of(DEBIAN_KEY) is None
    records = sorted([*records, badkeys_mark(DEBIAN_KEY) + b"\x01"])
    found = read_badkeys_list(b"".join(records)).weakness_of(DEBIAN_KEY)
    assert found is not None
    assert found.code == "published"


@pytest.mark.parametrize("place", ["first", "last", "only"])
def test_list_is_searched_to_its_ends(place: str) -> None:
    mark = badkeys_mark(DEBIAN_KEY) + b"\x07"
    records = {"first": [mark, b"\xff" * 16], "last": [b"\x00" * 16, mark], "only": [mark]}[place]
    assert read_badkeys_list(b"".join(records)).weakness_of(DEBIAN_KEY)


def test_good_key_is_in_none() -> None:
    key = rsa.generate_private_key(65_537, 2048).public_key()
    use_lists([read_debian_list(b""), read_badkeys_list(b"\x01" * 16)])
    assert reason_if_weak(key) is None
    assert reason_if_weak(ec.generate_private_key(ec.SECP256R1()).public_key()) is None


def test_listed_key_gets_no_certificate() -> None:
    facts_of(DEBIAN_KEY)
    mark = debian_mark(DEBIAN_KEY)
    assert mark is not None
    use_lists([read_debian_list(mark.hex().encode())])
    with pytest.raises(WeakKey, match="CVE-2008-0166"):
        facts_of(DEBIAN_KEY)


@pytest.mark.parametrize("text", [b"abc", b"0123456789abcdef012", b"0123456789ABCDEF0123", b"\xff\xfe", b"00" * 20])
def test_file_that_is_no_debian_list_is_refused(text: bytes) -> None:
    with pytest.raises(BadKeyList):
        read_debian_list(text)


@pytest.mark.parametrize("octets", [b"", b"\x01" * 15, b"\x02" * 16 + b"\x01" * 16])
def test_file_that_is_no_badkeys_list_is_refused(octets: bytes) -> None:
    with pytest.raises(BadKeyList):
        read_badkeys_list(octets)


def test_files_are_told_apart_by_their_names(tmp_path: Path) -> None:
    mark = debian_mark(DEBIAN_KEY)
    assert mark is not None
    (tmp_path / "blacklist.RSA-2048").write_text(f"{mark.hex()}\n")
    (tmp_path / "blocklist.dat").write_bytes(badkeys_mark(DEBIAN_KEY) + b"\x01")
    for name in ("blacklist.RSA-2048", "blocklist.dat"):
        assert read_key_list(tmp_path / name).weakness_of(DEBIAN_KEY), name
    for name in ("missing", "missing.dat"):
        with pytest.raises(BadKeyList, match="missing"):
            read_key_list(tmp_path / name)
    (tmp_path / "empty.dat").touch()
    with pytest.raises(BadKeyList):
        read_key_list(tmp_path / "empty.dat")
