"""Editions: what an issuer's responder knows of every certificate at one time, in one file that all processes map.

A file is a page of JSON, records of one size in the order of their serial numbers, and the places where to begin to
look: the range of serial numbers is cut into as many equal parts as there are records. It is written under another
name, checked by a CRC, and never changed once it has its own.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

_MAGIC = "gatehouse-ocsp-edition-1"
_PAGE = 16_384
_SERIAL_OCTETS = 20
_KEY_OCTETS = _SERIAL_OCTETS + 1
_FACTS = struct.Struct("<IIBB")
_NEVER = (1 << 32) - 1
_HEAD_OCTETS = 8
_CHUNK = 1 << 20


class DamagedEditionError(ValueError):
    """The file is not an edition, or not all of one."""


class Standing(NamedTuple):
    """A certificate's standing. Times are Unix seconds; `revoked_at` is 0 if it is not revoked."""

    ends_at: int
    revoked_at: int = 0
    reason_number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Imprint:
    """What an edition is of. It holds every certificate up to the issuer's `revision` whose id is up to `newest`.

    Its answers are signed by `signer` (a certificate in DER) under `algorithm` (an AlgorithmIdentifier in DER), each in
    at most `signature_octets`, which is 0 in an edition that has none. Times are Unix seconds.
    """

    revision: int
    newest: str
    this_update: int
    next_update: int
    signer: bytes = b""
    algorithm: bytes = b""
    signature_octets: int = 0

    @property
    def record_octets(self) -> int:
        """The size of a record."""
        return _KEY_OCTETS + _FACTS.size + self.signature_octets


def key_of(serial: int) -> bytes:
    """The serial number as records are ordered by it, which is the order of its hex digits as text."""
    octets = serial.to_bytes((serial.bit_length() + 7) // 8 or 1, "big")
    return octets.ljust(_SERIAL_OCTETS, b"\x00") + bytes((len(octets),))


def serial_in(key: bytes) -> int:
    """The serial number again."""
    return int.from_bytes(key[: key[-1]], "big")


@dataclass(slots=True)
class EditionWriter:
    """Appends to the draft of an edition. `last` is the key of its last record, empty if there is none yet."""

    file: BinaryIO
    imprint: Imprint
    last: bytes = b""

    @classmethod
    def begin(cls, file: BinaryIO, imprint: Imprint) -> EditionWriter:
        """An empty draft in `file`."""
        file.truncate(0)
        _write_page(file, imprint, count=0, crc=0)
        return cls(file, imprint)

    @classmethod
    def resume(cls, file: BinaryIO) -> EditionWriter:
        """The draft that stands in `file`, without a record that a crash cut off. Raises DamagedEditionError."""
        imprint, _, _ = _read_page(file)
        size = imprint.record_octets
        count = max(0, file.seek(0, os.SEEK_END) - _PAGE) // size
        file.truncate(_PAGE + count * size)
        last = b""
        if count:
            file.seek(_PAGE + (count - 1) * size)
            last = file.read(_KEY_OCTETS)
        file.seek(0, os.SEEK_END)
        return cls(file, imprint, last)

    def append(self, records: Iterable[tuple[bytes, Standing, bytes]]) -> None:
        """Adds keys with their standing and signature, in rising order."""
        width = self.imprint.signature_octets
        parts = []
        for key, standing, signature in records:
            if key <= self.last:
                raise DamagedEditionError("the database sorts serial numbers otherwise than by their digits")
            self.last = key
            ends_at, revoked_at = min(standing.ends_at, _NEVER), min(standing.revoked_at, _NEVER)
            parts += [key, _FACTS.pack(ends_at, revoked_at, standing.reason_number, len(signature))]
            parts.append(signature.ljust(width, b"\x00"))
        self.file.write(b"".join(parts))

    def finish(self) -> int:
        """Completes it on disk; how many records it has."""
        self.file.flush()
        size = self.imprint.record_octets
        end = self.file.seek(0, os.SEEK_END)
        count, crc = (end - _PAGE) // size, 0
        if count:
            with mmap.mmap(self.file.fileno(), end, access=mmap.ACCESS_READ) as mapped:
                starts = _starts(mapped, count, size).tobytes()
                for start in range(_PAGE, end, _CHUNK):
                    crc = zlib.crc32(mapped[start : start + _CHUNK], crc)
            self.file.write(starts)
            crc = zlib.crc32(starts, crc)
        _write_page(self.file, self.imprint, count=count, crc=crc)
        self.file.flush()
        os.fsync(self.file.fileno())
        return count


def _starts(octets: mmap.mmap, count: int, size: int) -> array[int]:
    """For each part of the range of serial numbers the index of its first record, and at the end their number."""
    places = range(_PAGE, _PAGE + count * size, size)
    low, span = _span(octets, count, size)
    starts = array("I", bytes(4 * (count + 1)))
    part = 0
    for index, at in enumerate(places):
        reached = (int.from_bytes(octets[at : at + _HEAD_OCTETS], "big") - low) * count // span
        while part < reached:
            part += 1
            starts[part] = index
    for after in range(part + 1, count + 1):
        starts[after] = count
    return starts


def _span(octets: mmap.mmap, count: int, size: int) -> tuple[int, int]:
    """The head of the lowest serial number, and the size of the range up to the highest."""
    last = _PAGE + (count - 1) * size
    low = int.from_bytes(octets[_PAGE : _PAGE + _HEAD_OCTETS], "big")
    return low, int.from_bytes(octets[last : last + _HEAD_OCTETS], "big") - low + 1


class Edition:
    """A finished edition, mapped into memory that all processes of the machine share."""

    __slots__ = ("_low", "_map", "_size", "_span", "_starts", "count", "imprint")

    def __init__(self, path: Path) -> None:
        """Reads it through once. Raises FileNotFoundError, DamagedEditionError."""
        with path.open("rb") as file:
            self.imprint, self.count, crc = _read_page(file)
            self._size = self.imprint.record_octets
            end = _PAGE + self.count * self._size
            if self.count < 1 or os.fstat(file.fileno()).st_size != end + 4 * (self.count + 1):
                raise DamagedEditionError("an edition that is not finished")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        found = 0
        for start in range(_PAGE, len(self._map), _CHUNK):
            found = zlib.crc32(self._map[start : start + _CHUNK], found)
        if found != crc:
            raise DamagedEditionError("an edition whose octets are not those that were written")
        self._starts = array("I", self._map[end:])
        self._low, self._span = _span(self._map, self.count, self._size)

    def find(self, key: bytes) -> tuple[Standing, bytes] | None:
        """Standing and signature, which is empty if there is none; None for a certificate that is not in it."""
        octets, size = self._map, self._size
        part = (int.from_bytes(key[:_HEAD_OCTETS], "big") - self._low) * self.count // self._span
        if not 0 <= part < self.count:
            return None
        low, high = self._starts[part], self._starts[part + 1]
        while low < high:  # the first record that is not below `key`: mostly the only one
            middle = (low + high) // 2
            at = _PAGE + middle * size
            if octets[at : at + _KEY_OCTETS] < key:
                low = middle + 1
            else:
                high = middle
        at = _PAGE + low * size
        if low == self.count or octets[at : at + _KEY_OCTETS] != key:
            return None
        ends_at, revoked_at, reason, length = _FACTS.unpack_from(octets, at + _KEY_OCTETS)
        at += _KEY_OCTETS + _FACTS.size
        return Standing(ends_at, revoked_at, reason), octets[at : at + length]


def imprint_of(path: Path) -> Imprint:
    """What the edition at `path` is of, its records unseen. Raises FileNotFoundError, DamagedEditionError."""
    with path.open("rb") as file:
        return _read_page(file)[0]


def _write_page(file: BinaryIO, imprint: Imprint, *, count: int, crc: int) -> None:
    page = {name: getattr(imprint, name) for name in ("revision", "newest", "this_update", "next_update")}
    page |= {"signer": b64encode(imprint.signer).decode(), "algorithm": b64encode(imprint.algorithm).decode()}
    page |= {"magic": _MAGIC, "signature_octets": imprint.signature_octets, "count": count, "crc": crc}
    text = json.dumps(page).encode()
    if len(text) > _PAGE:
        raise ValueError("the signer's certificate is too large for an edition")
    file.seek(0)
    file.write(text.ljust(_PAGE))


def _read_page(file: BinaryIO) -> tuple[Imprint, int, int]:
    file.seek(0)
    try:
        page = json.loads(file.read(_PAGE))
        if page["magic"] != _MAGIC:
            raise DamagedEditionError("not an edition")
        imprint = Imprint(
            revision=int(page["revision"]),
            newest=str(page["newest"]),
            this_update=int(page["this_update"]),
            next_update=int(page["next_update"]),
            signer=b64decode(page["signer"]),
            algorithm=b64decode(page["algorithm"]),
            signature_octets=int(page["signature_octets"]),
        )
        return imprint, int(page["count"]), int(page["crc"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedEditionError("not an edition") from error
