"""Batch GCD against gcds of each pair."""

from __future__ import annotations

import math
import random
from itertools import combinations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.core.shared_factors import group_by_factor, share_a_factor

PRIMES = [1_000_003, 1_000_033, 1_000_037, 1_000_039, 1_000_081, 1_000_099, 1_000_117, 1_000_121, 1_000_133, 1_000_151]


def by_pairs(moduli: list[int]) -> dict[int, int]:
    """Index and gcd with the product of the others, where it is above 1: n² of them."""
    found = {}
    for index, modulus in enumerate(moduli):
        rest = math.prod(moduli[:index] + moduli[index + 1 :])
        if (gcd := math.gcd(modulus, rest)) > 1:
            found[index] = gcd
    return found


def components(moduli: list[int]) -> set[frozenset[int]]:
    """Indices that share primes, directly or by others, found by walking from one to the next."""
    near: dict[int, set[int]] = {}
    for one, other in combinations(range(len(moduli)), 2):
        if math.gcd(moduli[one], moduli[other]) > 1:
            near.setdefault(one, set()).add(other)
            near.setdefault(other, set()).add(one)
    found = set()
    for start in near:
        seen, todo = {start}, [start]
        while todo:
            for index in near[todo.pop()] - seen:
                seen.add(index)
                todo.append(index)
        found.add(frozenset(seen))
    return found


moduli_lists = st.lists(
    st.tuples(st.sampled_from(PRIMES), st.sampled_from(PRIMES)).map(lambda pair: pair[0] * pair[1]),
    unique=True,
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(moduli=moduli_lists, chunk=st.integers(1, 9))
def test_it_finds_what_each_pair_shows(moduli: list[int], chunk: int) -> None:
    found = share_a_factor(moduli, chunk=chunk)
    assert found == by_pairs(moduli)


@settings(max_examples=300, deadline=None)
@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] < pair[1]), unique=True, max_size=12
    )
)
def test_groups_are_the_connected_ones(pairs: list[tuple[int, int]]) -> None:
    moduli = [PRIMES[one] * PRIMES[other] for one, other in pairs]
    groups = group_by_factor(moduli, share_a_factor(moduli))
    assert set(groups) == components(moduli)
    assert sum(map(len, groups)) == len(share_a_factor(moduli))


@given(moduli=moduli_lists, cut=st.integers(0, 14), chunk=st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_new_ones_are_compared_with_known_ones(moduli: list[int], cut: int, chunk: int) -> None:
    known, fresh = moduli[:cut], moduli[cut:]
    every = by_pairs(moduli)
    expected = {index - cut: gcd for index, gcd in every.items() if index >= cut}
    assert share_a_factor(fresh, among=known, chunk=chunk) == expected


def test_real_keys_with_a_prime_in_common() -> None:
    keys = [rsa.generate_private_key(65_537, 1024).private_numbers() for _ in range(5)]
    moduli = [key.public_numbers.n for key in keys]
    bad = keys[0].p * keys[1].q
    assert share_a_factor(moduli) == {}
    found = share_a_factor([*moduli, bad], chunk=4)
    assert found == {0: keys[0].p, 1: keys[1].q, 5: bad}
    assert group_by_factor([*moduli, bad], found) == [frozenset({0, 1, 5})]


def test_nothing_and_one_have_no_factor_in_common() -> None:
    assert share_a_factor([]) == {}
    assert share_a_factor([], among=[15]) == {}
    assert share_a_factor([15]) == {}
    assert share_a_factor([15], among=[21]) == {0: 3}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 33])
def test_progress_reaches_the_end(count: int) -> None:
    said: list[tuple[int, int]] = []
    moduli = [random.Random(count).getrandbits(64) * 2 + 1 for _ in range(count)]
    share_a_factor(list(dict.fromkeys(moduli)), chunk=8, progress=lambda done, of: said.append((done, of)))
    assert said[-1][0] == said[-1][1]
