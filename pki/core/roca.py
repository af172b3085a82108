"""The ROCA test (Nemec et al. 2017, CVE-2017-15361): a chip's primes were powers of 65537 modulo small primes."""

from __future__ import annotations

_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_GENERATOR = 65_537


def _powers(prime: int) -> frozenset[int]:
    found, value = set(), 1
    while value not in found:
        found.add(value)
        value = value * _GENERATOR % prime
    return frozenset(found)


_RESIDUES = {prime: _powers(prime) for prime in _PRIMES}


def is_roca_modulus(modulus: int) -> bool:
    """Whether `modulus` lies in the subgroup of 65537 for every test prime; a good key does with probability 2^-28."""
    return all(modulus % prime in residues for prime, residues in _RESIDUES.items())
