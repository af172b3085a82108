"""A private key as a leak may spell it, and the search for it."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pki.core.keys import SigningKey, key_to_der


def secrets_of(key: SigningKey) -> dict[str, bytes]:
    """What nobody may see of a key: its scalar, seed, or exponent and primes; and its PKCS#8."""
    der = key_to_der(key)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        scalar = key.private_numbers().private_value.to_bytes(key.key_size // 8, "big")
        return {"scalar": scalar, "pkcs8": der}
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        found = {"d": numbers.d, "p": numbers.p, "q": numbers.q}
        return {name: value.to_bytes(-(-value.bit_length() // 8), "big") for name, value in found.items()} | {
            "pkcs8": der
        }
    return {"seed": key.private_bytes_raw(), "pkcs8": der}


def spellings(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """The octets, hexadecimal with and without colons, decimal, Python's bytes, and base64 wherever it begins."""
    yield "octets", secret
    yield "reversed", secret[::-1]
    yield "hex", secret.hex().encode()
    yield "HEX", secret.hex().upper().encode()
    yield "he:x", secret.hex(":").encode()
    if len(secret) <= 512:
        yield "decimal", str(int.from_bytes(secret, "big")).encode()
    yield "repr", repr(secret)[2:-1].encode()
    for shift in range(3):
        spelt = base64.b64encode(bytes(shift) + secret)[4 if shift else 0 :]
        yield f"base64+{shift}", spelt.rstrip(b"=")[:-1]
        yield f"base64url+{shift}", spelt.rstrip(b"=")[:-1].replace(b"+", b"-").replace(b"/", b"_")


def found_in(held: bytes, secrets: dict[str, bytes]) -> list[str]:
    """Which of the secrets, and how spelt, stand in what was held; lines may be broken anywhere."""
    joined = b"".join(held.replace(b"\\n", b"").split())
    return [
        f"{name} as {how}"
        for name, secret in secrets.items()
        for how, spelt in spellings(secret)
        if spelt in held or spelt in joined
    ]


def pem_of(key: SigningKey) -> str:
    """The key as people hand it over."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
