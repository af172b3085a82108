"""A key that Debian's OpenSSL 0.9.8c made (CVE-2008-0166): public since 2008, here without its private half."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import rsa

MODULUS = int(
    "e8500f581a93a1aaefe3760a9fb882f0bfef121445352cfa88666f37b503996466d7adcb7bc3f9838358fd07f54b10ef"
    "3df8ac10383667a1eb831176f2598a306b8256fe40da8ae0eecc1ff0d0bb449066ff66d6c941e85d8ed9c9d6f7a73e79"
    "002c6fb0222437ee04ce1c17c0698a6c2fc41de7a388d2f0e93b4870e26c29e12e9253d16aec4a4d2e2fccc063f9e54c"
    "07756c79f78b087001ea05174f03e3679de24ad489b6b5c10fa286563437f392ec6378d11734258413474f2b946b8fb2"
    "b47943a1729644f2e3ee2186027559df5b4af295856c7a7dec37f0f03b944c2e64916e749cc7bbbaae7d10e7d3c3e84b"
    "bfccf690d6105f48cff2896d780849b3",
    16,
)
DEBIAN_KEY = rsa.RSAPublicNumbers(65_537, MODULUS).public_key()
