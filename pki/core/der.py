"""DER (X.690) as far as CRLs and OCSP need it: writing octets, and reading them strictly from hostile input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, ENUMERATED = 1, 2, 3, 4, 5, 6, 10
UTC_TIME, GENERALIZED_TIME, SEQUENCE = 0x17, 0x18, 0x30


class MalformedDerError(ValueError):
    """The octets are not what they should be."""


def header(tag: int, size: int) -> bytes:
    """Tag and length of an element whose body has `size` octets."""
    if size < 0x80:
        return bytes((tag, size))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets


def tlv(tag: int, *parts: bytes) -> bytes:
    """Tag, length and the parts joined; the octets are copied once."""
    return b"".join((header(tag, sum(map(len, parts))), *parts))


def sequence(*parts: bytes) -> bytes:
    """A SEQUENCE of the parts."""
    return tlv(SEQUENCE, *parts)


def explicit(number: int, *parts: bytes) -> bytes:
    """The parts under a constructed context tag."""
    return tlv(0xA0 | number, *parts)


def integer(value: int, *, tag: int = INTEGER) -> bytes:
    """A non-negative INTEGER or ENUMERATED."""
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    octets = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | (arc & 0x7F))
        octets.extend(reversed(groups))
    return tlv(OID, bytes(octets))


def octet_string(body: bytes) -> bytes:
    """An OCTET STRING."""
    return tlv(OCTET_STRING, body)


def bit_string(body: bytes) -> bytes:
    """A BIT STRING of whole octets."""
    return tlv(BIT_STRING, b"\x00", body)


def generalized_time(moment: datetime) -> bytes:
    """A GeneralizedTime in UTC, to the second."""
    return tlv(GENERALIZED_TIME, moment.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode())


@lru_cache(maxsize=1024)
def time(moment: datetime) -> bytes:
    """UTCTime through 2049, GeneralizedTime from 2050 on (RFC 5280 4.1.2.5)."""
    utc = moment.astimezone(UTC)
    return tlv(UTC_TIME, utc.strftime("%y%m%d%H%M%SZ").encode()) if utc.year < 2050 else generalized_time(utc)


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    """An Extension (RFC 5280 4.1); `value` is the DER inside its OCTET STRING."""
    return sequence(oid(dotted), tlv(BOOLEAN, b"\xff") if critical else b"", octet_string(value))


@dataclass(frozen=True, slots=True)
class Element:
    """One element of the input: its tag, its body, and the octets it was read from."""

    tag: int
    body: bytes
    encoded: bytes

    def children(self) -> Iterator[Element]:
        """The elements of a constructed one."""
        rest = self.body
        while rest:
            element, rest = read(rest)
            yield element

    def expect(self, tag: int) -> Element:
        """Itself, if it has that tag."""
        if self.tag != tag:
            raise MalformedDerError(f"tag {self.tag:#x} where {tag:#x} belongs")
        return self

    def as_integer(self) -> int:
        """The value of an INTEGER, minimally encoded."""
        self.expect(INTEGER)
        if not self.body or (len(self.body) > 1 and self.body[0] in (0, 0xFF) and (self.body[0] ^ self.body[1]) < 0x80):
            raise MalformedDerError("an INTEGER that is not minimal")
        return int.from_bytes(self.body, "big", signed=True)


def read(octets: bytes) -> tuple[Element, bytes]:
    """The first element and what follows it. Long tags and indefinite lengths raise MalformedDerError."""
    if len(octets) < 2 or octets[0] & 0x1F == 0x1F:
        raise MalformedDerError("no element")
    size, start = octets[1], 2
    if size & 0x80:
        count = size & 0x7F
        start += count
        size = int.from_bytes(octets[2:start], "big")
        if not 1 <= count <= 4 or len(octets) < start or size < 0x80 or octets[2] == 0:
            raise MalformedDerError("a length that is not DER")
    end = start + size
    if end > len(octets):
        raise MalformedDerError("an element that ends beyond the input")
    return Element(octets[0], octets[start:end], octets[:end]), octets[end:]


def read_only(octets: bytes) -> Element:
    """The one element that `octets` is."""
    element, rest = read(octets)
    if rest:
        raise MalformedDerError("something follows the element")
    return element
