"""`make faithfulness`: every target on many generated pairs, then the emulators beside the brokers that are installed.

    python -m tests.brokers.core.run_faithfulness [--pairs N] [--seed TEXT] [--emulated | --real] [target ...]

Ends with 1 if anything is not explained, after printing the smallest case that shows it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from brokers.core.targets import TARGETS, Target
from tests.brokers.core import real_fleets, real_rabbitmq_fleet
from tests.brokers.core.judging import Outcome
from tests.brokers.core.real_fleets import Comparison
from tests.brokers.core.real_rabbitmq import rabbitmq
from tests.brokers.core.trials import Trial, shrunk, trial

PAIRS = 100_000
REAL_PAIRS = 2_000
REAL = {
    real.target.name: real
    for real in (
        real_fleets.MOSQUITTO,
        real_fleets.MOSQUITTO_ACL,
        real_fleets.MOSQUITTO_ACL_PATTERNS,
        real_fleets.NATS,
    )
}
_RABBITMQ = "rabbitmq"
_CHUNK = 2_500
_SHOWN = 20


def main(words: Sequence[str]) -> int:
    """0 if everything is agreed or explained."""
    wishes = _wishes(words)
    print(f"Seed {wishes.seed}. The same seed asks the same: make faithfulness SEED={wishes.seed}", flush=True)
    names = wishes.targets or list(TARGETS)
    well = True
    if not wishes.real:
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            for name in names:
                well &= _emulated(pool, TARGETS[name], pairs=wishes.pairs, seed=wishes.seed)
    if not wishes.emulated:
        for name in names:
            if name in REAL or name == _RABBITMQ:
                well &= _real(name, seed=wishes.seed)
    return 0 if well else 1


def _wishes(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faithfulness")
    parser.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; all if none is named")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="of a policy and a request, for each target")
    parser.add_argument("--seed", default=f"{datetime.now(UTC):%Y-%m-%d}", help="today, unless it is given")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--emulated", action="store_true", help="no real broker")
    only.add_argument("--real", action="store_true", help="real brokers alone")
    wishes = parser.parse_args(words)
    if unknown := sorted(set(wishes.targets) - set(TARGETS)):
        parser.error(f"There is no target {', '.join(unknown)}: choose among {', '.join(TARGETS)}.")
    return wishes


def _emulated(pool: ProcessPoolExecutor, target: Target, *, pairs: int, seed: str) -> bool:
    began = time.monotonic()
    counts: Counter[str] = Counter()
    firsts = []
    each = pool.map if pairs > _CHUNK else map  # few pairs need no other process
    for part in each(_part, *zip(*_parts(target, pairs, seed), strict=True)):
        counts += part.counts
        firsts += [part.first] if part.first else []
    told = ", ".join(f"{counts[kind]:,} {_WORDS[kind]}" for kind in Outcome)
    print(f"{target.name}: {counts.total():,} pairs, {told} ({time.monotonic() - began:.0f} s)", flush=True)
    if firsts:
        case = min((shrunk(target, first) for first in firsts[:_SHOWN]), key=lambda case: len(case.told()))
        print(f"{case.fault_on(target)}\n{case.told()}\n{case!r}", flush=True)
    return not firsts


_WORDS = {
    Outcome.AGREED: "agreed",
    Outcome.NARROWER: "narrower as declared",
    Outcome.SIGNALLING: "signalling as declared",
    Outcome.WIDER: "wider as declared",
    Outcome.UNEXPLAINED: "unexplained",
}


def _parts(target: Target, pairs: int, seed: str) -> Iterator[tuple[str, str, int]]:
    for number, start in enumerate(range(0, pairs, _CHUNK)):
        yield target.name, f"{seed}/{target.name}/{number}", min(_CHUNK, pairs - start)


def _part(name: str, seed: str, pairs: int) -> Trial:
    """A share of the pairs, in a process of the pool. Every fourth share has no hostile names."""
    return trial(TARGETS[name], seed=seed, pairs=pairs, hostile=not seed.endswith("3"))


def _real(name: str, *, seed: str) -> bool:
    """Whether the broker does what its emulator says, two rounds at least."""
    began, whole, rounds = time.monotonic(), Comparison(), 0
    while whole.pairs < REAL_PAIRS or rounds < 2:
        with tempfile.TemporaryDirectory() as folder:
            found = _round(name, Path(folder), f"{seed}/{rounds}")
        whole.pairs += found.pairs
        whole.differences += found.differences
        rounds += 1
    passed = time.monotonic() - began
    print(f"{name}, real: {whole.pairs:,} pairs, {len(whole.differences)} differences ({passed:.0f} s)", flush=True)
    for line in whole.differences[:_SHOWN]:
        print(f"  {line}")
    return not whole.differences


def _round(name: str, folder: Path, seed: str) -> Comparison:
    if name != _RABBITMQ:
        return real_fleets.compare(REAL[name], folder, seed=seed)
    with rabbitmq(folder) as broker:
        return real_rabbitmq_fleet.compare(broker, seed=seed, users=real_fleets.USERS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
