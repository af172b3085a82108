"""The RSA keys that Debian's OpenSSL 0.9.8c-1 to 0.9.8g-8 made (CVE-2008-0166), made again.

A patch took what was meant to be random out of the generator, so that a key depends on the number of the process, the
sort of machine, and whether there was a `~/.rnd`. This is that generator and what drew from it, step by step: the pool
(md_rand.c), its seeding (rand_unix.c, randfile.c), and the search for primes (bn_rand.c, bn_prime.c, rsa_gen.c). It is
for making lists of keys to refuse, and good for nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import gcd
from typing import Literal

_STATE_OCTETS, _DIGEST_OCTETS = 1_023, 20
_HALF = _DIGEST_OCTETS // 2
_SMALL_PRIMES = 2_048
_POLLED_OCTETS, _RND_OCTETS, _PID_OCTETS = 32, 1_024, 4
EXPONENT = 65_537
PIDS = range(1, 32_768)


class Seeding(StrEnum):
    """What `~/.rnd` was at the time; without one, 0.9.8c and 0.9.8g differ."""

    RND = "rnd"
    NO_RND_OLD = "nornd-old"
    NO_RND_NEW = "nornd-new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A sort of machine: the size of C's long and time_t and of its struct stat, in octets."""

    name: str
    order: Literal["little", "big"]
    long_octets: int
    stat_octets: int


MACHINES = {
    machine.name: machine
    for machine in (
        Machine(name="le32", order="little", long_octets=4, stat_octets=88),
        Machine(name="le64", order="little", long_octets=8, stat_octets=144),
        Machine(name="be32", order="big", long_octets=4, stat_octets=88),
    )
}


class Pool:
    """md_rand.c with the two lines taken out: what is added counts, but only by its length."""

    def __init__(self, machine: Machine, pid: int) -> None:
        self._machine = machine
        self._pid = pid.to_bytes(_PID_OCTETS, machine.order)
        self._state = bytearray(_STATE_OCTETS)
        self._index = self._size = 0
        self._digest = bytes(_DIGEST_OCTETS)
        self._drawn = self._added = 0
        self._polled = self._stirred = False

    def _counts(self, drawn: int, added: int) -> bytes:
        size, order = self._machine.long_octets, self._machine.order
        return drawn.to_bytes(size, order) + added.to_bytes(size, order)

    def add(self, length: int) -> None:
        """ssleay_rand_add()."""
        place, added, digest = self._index, self._added, self._digest
        self._index += length
        if self._index >= _STATE_OCTETS:
            self._index %= _STATE_OCTETS
            self._size = _STATE_OCTETS
        else:
            self._size = max(self._size, self._index)
        self._added += -(-length // _DIGEST_OCTETS)
        for begin in range(0, length, _DIGEST_OCTETS):
            count = min(length - begin, _DIGEST_OCTETS)
            seen = self._window(place, count, _STATE_OCTETS)
            digest = hashlib.sha1(digest + seen + self._counts(self._drawn, added), usedforsecurity=False).digest()
            added += 1
            place = self._mix(place, digest[:count], _STATE_OCTETS)
        self._digest = bytes(one ^ other for one, other in zip(self._digest, digest, strict=True))

    def poll(self) -> None:
        """RAND_poll(): a device, the number of the process, of the user, and the time."""
        if not self._polled:
            self._polled = True
            self.add(_POLLED_OCTETS)
            for _ in range(3):
                self.add(self._machine.long_octets)

    def draw(self, length: int) -> bytes:
        """ssleay_rand_bytes()."""
        self.poll()
        if not self._stirred:
            self._stirred = True
            for _ in range(0, _STATE_OCTETS, _DIGEST_OCTETS):
                self.add(_DIGEST_OCTETS)
        place, size, digest = self._index, self._size, self._digest
        counts = self._counts(self._drawn, self._added)
        self._index += -(-length // _HALF) * _HALF
        if self._index > self._size:
            self._index %= self._size
        self._drawn += 1
        found, mark = bytearray(), self._pid
        while len(found) < length:
            digest = hashlib.sha1(
                mark + digest + counts + self._window(place, _HALF, size), usedforsecurity=False
            ).digest()
            mark = b""
            place = self._mix(place, digest[:_HALF], size)
            found += digest[_HALF:]
        self._digest = hashlib.sha1(counts + digest + self._digest, usedforsecurity=False).digest()
        return bytes(found[:length])

    def _window(self, place: int, count: int, size: int) -> bytes:
        over = place + count - size
        return bytes(self._state[place : place + count - max(over, 0)] + self._state[: max(over, 0)])

    def _mix(self, place: int, octets: bytes, size: int) -> int:
        for octet in octets:
            self._state[place] ^= octet
            place += 1
            if place >= size:
                place = 0
        return place


def _small_primes(count: int) -> tuple[int, ...]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found if prime * prime <= number):
            found.append(number)
        number += 1
    return tuple(found)


_ODD_PRIMES = _small_primes(_SMALL_PRIMES)[1:]
IsPrime = Callable[[int, int], bool]


def is_no_witness(number: int, base: int) -> bool:
    """Whether a round of Miller and Rabin's test finds nothing against the odd number."""
    twos = ((number - 1) & -(number - 1)).bit_length() - 1
    power = pow(base, (number - 1) >> twos, number)
    if power in {1, number - 1}:
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False


def make_modulus(*, bits: int, machine: Machine, seeding: Seeding, pid: int) -> int:
    """The modulus of the key that `openssl genrsa` and `openssl req` made there, with exponent 65537."""
    pool = Pool(machine, pid)
    if seeding is not Seeding.NO_RND_NEW:
        pool.add(machine.stat_octets)
    if seeding is Seeding.RND:
        pool.add(_RND_OCTETS)
    else:
        pool.poll()
    first = _make_prime(pool, (bits + 1) // 2, machine)
    second = first
    while second == first:
        second = _make_prime(pool, bits // 2, machine)
    return first * second


def _make_prime(pool: Pool, bits: int, machine: Machine) -> int:
    """BN_generate_prime_ex(), until it fits the exponent."""
    rounds = _rounds(bits)
    while True:
        found = _candidate(_random(pool, bits, machine) | 3 << (bits - 2) | 1)
        if (
            all(is_no_witness(found, _base(pool, found, machine)) for _ in range(rounds))
            and gcd(found - 1, EXPONENT) == 1
        ):
            return found


def _rounds(bits: int) -> int:
    """BN_prime_checks_for_size()."""
    sizes = ((1300, 2), (850, 3), (650, 4), (550, 5), (450, 6), (400, 7), (350, 8), (300, 9), (250, 12), (200, 15))
    return next((rounds for least, rounds in sizes if bits >= least), 18)


def _random(pool: Pool, bits: int, machine: Machine) -> int:
    """bnrand(): the time is added before anything is drawn."""
    pool.add(machine.long_octets)
    return int.from_bytes(pool.draw((bits + 7) // 8)) & (1 << bits) - 1


def _candidate(number: int) -> int:
    """probable_prime(): the next number that, with the one below it, has no small odd factor."""
    rests = [number % prime for prime in _ODD_PRIMES]
    delta = 0
    while any((rest + delta) % prime <= 1 for rest, prime in zip(rests, _ODD_PRIMES, strict=True)):
        delta += 2
    return number + delta


def _base(pool: Pool, number: int, machine: Machine) -> int:
    """BN_pseudo_rand_range() of number - 1, and 1 more."""
    while (found := _random(pool, number.bit_length(), machine)) >= number - 1:
        pass
    return found + 1
