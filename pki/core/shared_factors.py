"""Finding RSA moduli that share a prime, among many at once (batch GCD; Heninger et al. 2012, Lenstra et al. 2012).

Two moduli with a common prime are both factored by one gcd. Instead of each pair, each modulus N is compared with the
product of all others, which is worked out modulo N by a tree: n log² n instead of n². Python's own integers divide in
quadratic time; `decimal` multiplies and divides by number-theoretic transforms, so the trees are of decimals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation, localcontext

CHUNK = 16_384
"""Moduli in one tree: of 2048 bits it takes 200 MB. Beyond that, each chunk is compared with the product of each."""

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[InvalidOperation, Inexact])
_ONE = Decimal(1)
Progress = Callable[[int, int], None]


def untold(_done: int, _of: int) -> None:
    """Tells nobody how far it is."""


def share_a_factor(
    moduli: Sequence[int],
    *,
    among: Sequence[int] = (),
    chunk: int = CHUNK,
    progress: Progress = lambda _done, _of: None,
) -> dict[int, int]:
    """Index and gcd of each of `moduli` that shares a factor with another of them, or with one in `among`.

    The gcd is the prime, or the whole modulus if each of its primes is shared. No modulus may occur twice, nor in
    both. `progress` is told how many moduli are done, of how many.
    """
    found: dict[int, int] = {}
    with localcontext(_EXACT):
        products = [_product(part) for part in _chunks(among, chunk)]
        own = [_product(part) for part in _chunks(moduli, chunk)]
        for number, part in enumerate(_chunks(moduli, chunk)):
            others = products + own[:number] + own[number + 1 :]
            begin = number * chunk
            found.update((begin + index, gcd) for index, gcd in _gcds(part, others) if gcd > 1)
            progress(begin + len(part), len(moduli))
    return found


def group_by_factor(moduli: Sequence[int], gcds: dict[int, int]) -> list[frozenset[int]]:
    """The moduli that `share_a_factor` found, as sets of indices: those that share primes, directly or by others."""
    primes = {gcd for index, gcd in gcds.items() if gcd != moduli[index]}
    primes |= {moduli[index] // gcd for index, gcd in gcds.items() if gcd != moduli[index]}
    wholes = [index for index, gcd in gcds.items() if gcd == moduli[index]]
    for position, index in enumerate(wholes):
        # all its primes are shared: they are known of another, or come out between two of this sort
        shared = [math.gcd(moduli[index], moduli[other]) for other in wholes[:position]]
        primes |= {part for gcd in shared if gcd > 1 for part in (gcd, moduli[index] // gcd)}
    groups: dict[int, set[int]] = {}
    holders: dict[int, int] = {}
    for index in sorted(gcds):
        members = {index}
        for prime in _primes_of(moduli[index], gcds[index], primes):
            if prime in holders:
                members |= groups[holders[prime]]
            holders[prime] = index
        for member in members:
            groups[member] = members
    return list({id(group): frozenset(group) for group in groups.values()}.values())


def _primes_of(modulus: int, gcd: int, primes: Iterable[int]) -> Iterator[int]:
    if gcd != modulus:
        yield from (gcd, modulus // gcd)
    else:
        yield from (prime for prime in primes if modulus % prime == 0)


def _chunks(moduli: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for begin in range(0, len(moduli), size):
        yield moduli[begin : begin + size]


def _product(moduli: Sequence[int]) -> Decimal:
    level = [Decimal(modulus) for modulus in moduli]
    while len(level) > 1:
        level = [_times(level, index) for index in range(0, len(level), 2)]
    return level[0]


def _times(level: Sequence[Decimal], index: int) -> Decimal:
    return level[index] * level[index + 1] if index + 1 < len(level) else level[index]


def _gcds(moduli: Sequence[int], others: Sequence[Decimal]) -> Iterator[tuple[int, int]]:
    """Index and gcd(N, product of all other moduli) of each.

    With P the product of the moduli below a node and D the sum over each N of P/N, D modulo N is the product of the
    others: D of two nodes side by side is D1·P2 + D2·P1, and only D has to be brought down the tree again.
    """
    products = [[Decimal(modulus) for modulus in moduli]]
    sums = [_ONE] * len(moduli)
    while len(products[-1]) > 1:
        level = products[-1]
        sums = [
            sums[index] * level[index + 1] + sums[index + 1] * level[index] if index + 1 < len(level) else sums[index]
            for index in range(0, len(level), 2)
        ]
        products.append([_times(level, index) for index in range(0, len(level), 2)])
    [whole] = products.pop()
    rest = sums[0] % whole
    for other in others:
        rest = rest * (other % whole) % whole
    rests = [rest]
    while products:
        level = products.pop()
        rests = [rests[index // 2] % each for index, each in enumerate(level)]
    for index, modulus in enumerate(moduli):
        yield index, math.gcd(modulus, int(rests[index]))
