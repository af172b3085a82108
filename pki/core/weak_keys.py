"""Keys whose private half is known to others: lists of them, as files that others publish.

Two formats are read. Debian's openssl-blacklist: lines of 20 hex digits, the last half of SHA-1 over the text
`Modulus=<upper-case hex>` and a newline, as `openssl rsa -modulus` prints it; it knows RSA alone. And badkeys'
blocklist.dat: sorted records of 16 octets, 15 of SHA-256 over the key's number (RSA's modulus, a point's x, other keys
as they are; without leading zeros), then one that says which of its lists it is from.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from kernel.core.errors import Invalid
from pki.core.keys import subject_public_key
from pki.core.weakness import Weakness

_DEBIAN_OCTETS, _BADKEYS_OCTETS = 10, 16
_LINE = re.compile(rb"[0-9a-f]{20}")


class BadKeyList(Invalid):
    """The file is no list of weak keys that we read."""

    code = "weak-key-list"


class Octets(Protocol):
    """Bytes, or a file that is mapped into memory."""

    def __len__(self) -> int: ...
    def __getitem__(self, place: slice, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyList:
    """Sorted records of equal size in `octets`: Debian's or badkeys' marks of keys."""

    octets: Octets
    is_debians: bool
    name: str = ""

    def __len__(self) -> int:
        return len(self.octets) // self._size

    @property
    def _size(self) -> int:
        return _DEBIAN_OCTETS if self.is_debians else _BADKEYS_OCTETS

    def weakness_of(self, public_key: PublicKeyTypes) -> Weakness | None:
        """Why the key is weak, or None if it is not in the list."""
        mark = debian_mark(public_key) if self.is_debians else badkeys_mark(public_key)
        if mark is None or not self._holds(mark):
            return None
        return Weakness(code="debian" if self.is_debians else "published")

    def _holds(self, mark: bytes) -> bool:
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            begin = middle * self._size
            if self.octets[begin : begin + len(mark)] < mark:
                low = middle + 1
            else:
                high = middle
        begin = low * self._size
        return self.octets[begin : begin + len(mark)] == mark


def debian_mark(public_key: PublicKeyTypes) -> bytes | None:
    """What openssl-blacklist has of the key, 10 octets; None if it is not RSA."""
    if not isinstance(public_key, rsa.RSAPublicKey):
        return None
    return debian_modulus_mark(public_key.public_numbers().n)


def debian_modulus_mark(modulus: int) -> bytes:
    """The same of a modulus."""
    return hashlib.sha1(f"Modulus={modulus:X}\n".encode(), usedforsecurity=False).digest()[10:]


def badkeys_mark(public_key: PublicKeyTypes) -> bytes:
    """What badkeys' blocklist has of the key, 15 octets."""
    if isinstance(public_key, rsa.RSAPublicKey):
        number = public_key.public_numbers().n
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        number = public_key.public_numbers().x
    else:
        number = int.from_bytes(subject_public_key(public_key))
    return hashlib.sha256(number.to_bytes((number.bit_length() + 7) // 8)).digest()[:15]


def read_debian_list(octets: bytes, *, name: str = "") -> KeyList:
    """The list in the text of an openssl-blacklist, with comments from `#`. Raises BadKeyList."""
    lines = [line.split(b"#")[0].strip() for line in octets.splitlines()]
    wrong = next((line for line in lines if line and not _LINE.fullmatch(line)), None)
    if wrong is not None:
        raise BadKeyList(f"The list has a line {wrong[:40]!r}: a line of openssl-blacklist has 20 hex digits.")
    marks = sorted({bytes.fromhex(line.decode()) for line in lines if line})
    return KeyList(octets=b"".join(marks), is_debians=True, name=name)


def read_badkeys_list(octets: Octets, *, name: str = "") -> KeyList:
    """The list in badkeys' blocklist.dat. Raises BadKeyList."""
    count = len(octets) // _BADKEYS_OCTETS
    if not count or len(octets) % _BADKEYS_OCTETS:
        raise BadKeyList("The list is no blocklist.dat of badkeys: that has records of 16 octets.")
    step = max(1, count // 64)
    sample = [octets[index * _BADKEYS_OCTETS : index * _BADKEYS_OCTETS + 15] for index in range(0, count, step)]
    if sample != sorted(sample):
        raise BadKeyList("The list is no blocklist.dat of badkeys: its records are not in order.")
    return KeyList(octets=octets, is_debians=False, name=name)


_lists: Sequence[KeyList] = ()


def use_lists(lists: Iterable[KeyList]) -> None:
    """Looks keys up in these lists from now on, in this process."""
    global _lists  # noqa: PLW0603 - set once, when the process starts
    _lists = tuple(lists)


def lists_in_use() -> Sequence[KeyList]:
    """The lists that keys are looked up in."""
    return _lists


def reason_if_weak(public_key: PublicKeyTypes) -> Weakness | None:
    """Why nobody should be given a certificate for the key; None if it is in no list."""
    return next((found for each in _lists if (found := each.weakness_of(public_key))), None)
