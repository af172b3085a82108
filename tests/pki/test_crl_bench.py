"""The benchmark of CRLs runs, at a size that takes seconds; its figures at full size are in bench/results/."""

from __future__ import annotations

import pytest

from bench import crl

pytestmark = pytest.mark.e2e


def test_the_benchmark_measures_us_and_openssl_on_the_same_entries() -> None:
    seen = crl.measure(sizes=(200, 2_000))
    assert seen["200"]["entries"] == 200
    assert seen["2000"]["entries"] == 2_000
    assert seen["2000"]["delta_entries"] == 1_000
    assert seen["2000"]["openssl_seconds"] > 0
    assert seen["exponent"] is not None
