"""Keys of Debian's OpenSSL made again, against real ones that others made with the real program and published.

be32: badkeys/debianopenssl, rsa2048/ssl/be32/4242-*.key; le32 and le64: HARICA-official/debian-weak-keys,
lenny/openssl_0.9.8g-8/{i386,amd64}/{rnd,nornd,noreadrnd}/rsa-2048/1000.key (noreadrnd is what 0.9.8c made without a
~/.rnd). Of each the first 48 characters of the modulus in base64, as they stand in the file.
"""

from __future__ import annotations

import base64

import pytest

from pki.core.debian_openssl import MACHINES, Seeding, make_modulus
from tests.pki.core.debian_key import MODULUS

PUBLISHED = [
    ("be32", Seeding.NO_RND_OLD, 4_242, "zcHa5sehJOidEaYWK+J10wxMKFvEW2DRoRNrcgMUcelAJip9"),
    ("be32", Seeding.NO_RND_NEW, 4_242, "sLWPrq3hzNMwTgU+qOq+SYUJwRR2SQBbDDqGAFZJsBP8grWt"),
    ("le32", Seeding.NO_RND_OLD, 1_000, "0rdB/n8qLrW30PUFy0Dduch6q4uI5Gchi3YK1jBu+GCLCqgY"),
    ("le64", Seeding.RND, 1_000, "vcLuWU4AysDvFbsKecpQMA3lkYuOGAk7AQG23w4uuDN6XMnm"),
    ("le64", Seeding.NO_RND_OLD, 1_000, "zriqq6lEZAUVFMjzZw4f531oINfoH3SyUcPtiziM+LZ1NKMq"),
    ("le64", Seeding.NO_RND_NEW, 1_000, "tFZIDdgXQKwSMcmwRAgUn00DxeKQs5sY1RvQWFyjOAhDea+s"),
]


@pytest.mark.parametrize(("machine", "seeding", "pid", "published"), PUBLISHED)
def test_key_is_the_one_that_was_published(machine: str, seeding: Seeding, pid: int, published: str) -> None:
    modulus = make_modulus(bits=2048, machine=MACHINES[machine], seeding=seeding, pid=pid)
    assert modulus.to_bytes(256)[:36] == base64.b64decode(published)


def test_whole_modulus_is_the_published_one() -> None:
    assert make_modulus(bits=2048, machine=MACHINES["be32"], seeding=Seeding.RND, pid=4_242) == MODULUS
