"""Reading a CRL of ours back, octet by octet and without an object for each of its entries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pki.core import der

_SHORT = 0x80  # a length below is one octet


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlReading:
    """The parts of a CRL. `signed` and `entries` are places in `octets`: begin and end; `entries` are empty if absent.

    `issuer_name`, the times (`next_update` empty if absent) and the algorithms are as encoded; `extensions` is by the
    encoded object identifier: whether critical, and the DER of the value.
    """

    octets: bytes
    signed: tuple[int, int]
    version: bytes
    algorithm: bytes
    outer_algorithm: bytes
    signature: bytes
    issuer_name: bytes
    this_update: bytes
    next_update: bytes
    entries: tuple[int, int]
    extensions: dict[bytes, tuple[bool, bytes]]

    @property
    def to_be_signed(self) -> memoryview:
        """What the signature is over."""
        begin, end = self.signed
        return memoryview(self.octets)[begin:end]


class _Cursor:
    """A place in octets that moves over elements; bodies are copied only where they are asked for."""

    __slots__ = ("at", "end", "octets")

    def __init__(self, octets: bytes, begin: int, end: int) -> None:
        self.octets, self.at, self.end = octets, begin, end

    def span(self) -> tuple[int, int, int]:
        """Where the next element begins, where its body does, and where both end; the place does not move."""
        octets, at = self.octets, self.at
        if at + 2 > self.end:
            raise der.MalformedDerError("a CRL that ends too soon")
        size, body = octets[at + 1], at + 2
        if size >= _SHORT:
            body += size - _SHORT
            size = int.from_bytes(octets[at + 2 : body], "big")
        if body + size > self.end:
            raise der.MalformedDerError("an element of a CRL that ends beyond it")
        return at, body, body + size

    def next(self, *tags: int) -> bytes:
        """The next element as encoded, if it has one of these tags; empty, and not passed, if it has not."""
        if self.at >= self.end or self.octets[self.at] not in tags:
            return b""
        begin, _, self.at = self.span()
        return self.octets[begin : self.at]

    def enter(self, tag: int) -> _Cursor:
        """A cursor over the body of the next element, which is passed."""
        begin, body, end = self.span()
        if self.octets[begin] != tag:
            raise der.MalformedDerError(f"tag {self.octets[begin]:#x} where {tag:#x} belongs in a CRL")
        self.at = end
        return _Cursor(self.octets, body, end)


def read_crl(octets: bytes) -> CrlReading:
    """The parts of a CRL in DER. Raises MalformedDerError."""
    outer = _Cursor(octets, 0, len(octets)).enter(der.SEQUENCE)
    begin = outer.at
    inner = outer.enter(der.SEQUENCE)
    signed = (begin, outer.at)
    version, algorithm, issuer_name = (inner.next(tag) for tag in (der.INTEGER, der.SEQUENCE, der.SEQUENCE))
    this_update, next_update = (inner.next(der.UTC_TIME, der.GENERALIZED_TIME) for _ in range(2))
    entries = (inner.at, inner.at)
    if inner.at < inner.end and octets[inner.at] == der.SEQUENCE:
        listed = inner.enter(der.SEQUENCE)
        entries = (listed.at, listed.end)
    extensions = _extensions(inner.enter(0xA0).enter(der.SEQUENCE)) if inner.at < inner.end else {}
    outer_algorithm = outer.next(der.SEQUENCE)
    return CrlReading(
        octets=octets,
        signed=signed,
        version=version,
        algorithm=algorithm,
        outer_algorithm=outer_algorithm,
        signature=_whole_octets(outer.next(der.BIT_STRING)),
        issuer_name=issuer_name,
        this_update=this_update,
        next_update=next_update,
        entries=entries,
        extensions=extensions,
    )


def _whole_octets(bit_string: bytes) -> bytes:
    """The bits, of which none may be unused: a signature is whole octets."""
    body = der.read_only(bit_string).body
    if body[:1] != b"\0":
        raise der.MalformedDerError("a signature of a CRL that is not whole octets")
    return body[1:]


def _extensions(cursor: _Cursor) -> dict[bytes, tuple[bool, bytes]]:
    found: dict[bytes, tuple[bool, bytes]] = {}
    while cursor.at < cursor.end:
        one = cursor.enter(der.SEQUENCE)
        oid = one.next(der.OID)
        if oid in found:
            raise der.MalformedDerError("an extension that stands twice in a CRL")
        critical = bool(one.next(der.BOOLEAN))
        found[oid] = (critical, der.read_only(one.next(der.OCTET_STRING)).body)
    return found


# An entry as we make them: a serial number of 20 octets, behind a length of one octet, and the date.
_OUR_ENTRY = re.compile(rb"\x30[\x24-\x7f]\x02\x14(.{20})[\x17\x18][\x0d\x0f]", re.DOTALL)


def count_repeated(reading: CrlReading, *, entries: int) -> int:
    """How many of the entries have a serial number that an earlier one has. Raises MalformedDerError.

    `entries` is how many there are. By pattern if it finds as many; else entry by entry, which takes twice as long.
    """
    begin, end = reading.entries
    serials = _OUR_ENTRY.findall(reading.octets, begin, end)
    if len(serials) != entries:
        serials = list(_serials(reading))
    return len(serials) - len(set(serials))


def _serials(reading: CrlReading) -> Iterator[bytes]:
    octets, (at, end) = reading.octets, reading.entries
    while at < end:
        if octets[at] != der.SEQUENCE or octets[at + 1] >= _SHORT or octets[at + 2] != der.INTEGER:
            raise der.MalformedDerError("an entry of a CRL that is none")
        yield octets[at + 4 : at + 4 + octets[at + 3]]
        at += octets[at + 1] + 2
