"""What it costs to derive the key that opens a PKCS#8 or PKCS#12 file: read before anything is derived.

OpenSSL reads BER, so this reads BER; what it can not read is left to the library, which refuses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from math import prod

from pki.core.der import INTEGER, OCTET_STRING, SEQUENCE

_DEEPEST = 30  # as in OpenSSL
_SCRYPT_WEIGHT = 8  # a block of scrypt costs more than a round of PBKDF2, and 128 octets of memory


def iterations(octets: bytes, *, within_octets: bool = False) -> int:
    """The iterations that the parameters in `octets` ask for, all together: PBES1, PBES2, MacData; scrypt's N*r*p*8.

    Each is an INTEGER behind the OCTET STRING of a salt (RFC 8018 A.2 and A.3, RFC 7292 4, RFC 7914 7).
    `within_octets` also looks into OCTET STRINGs, where PKCS#12 has its bags.
    """
    return sum(_iterations(octets, 3 if within_octets else 0))


def _iterations(octets: bytes, deeper: int) -> Iterator[int]:
    salted = False
    for tag, group in groupby(_primitives(octets), key=lambda found: found[0]):
        if tag == INTEGER and salted:
            yield _cost([int.from_bytes(body, "big") for _, body in group])
        elif tag == OCTET_STRING and deeper:
            whole = b"".join(body for _, body in group)  # BER may send one in pieces
            if whole[:1] == bytes((SEQUENCE,)):
                yield from _iterations(whole, deeper - 1)
        salted = tag == OCTET_STRING


def _cost(numbers: list[int]) -> int:
    """Of the iterations and perhaps the key's length; or of scrypt's N, r, p and perhaps the key's length."""
    return numbers[0] if len(numbers) < 3 else _SCRYPT_WEIGHT * prod(numbers[:3])


def _primitives(octets: bytes, depth: int = 0) -> Iterator[tuple[int, bytes]]:
    """Tag and body of every primitive element, in order."""
    place = 0
    while place + 2 <= len(octets):
        tag, place = octets[place], _after_tag(octets, place)
        size, place = _length(octets, place)
        if size is None:
            continue  # an indefinite length: its elements follow
        body, place = octets[place : place + size], place + size
        if not tag & 0x20:
            if tag:  # not the end of an indefinite length
                yield tag, body
        elif depth < _DEEPEST:
            yield from _primitives(body, depth + 1)


def _after_tag(octets: bytes, place: int) -> int:
    if octets[place] & 0x1F == 0x1F:
        place += 1
        while place < len(octets) and octets[place] & 0x80:
            place += 1
    return place + 1


def _length(octets: bytes, place: int) -> tuple[int | None, int]:
    first = octets[place] if place < len(octets) else 0
    if first < 0x80:
        return first, place + 1
    start, end = place + 1, place + 1 + (first & 0x7F)
    return int.from_bytes(octets[start:end], "big") if first > 0x80 else None, end
