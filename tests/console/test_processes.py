"""The workers of `manage.py run` and of the compose file: each queue has one, and none keeps another's waiting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from console.processes import THREADS, all_programs
from kernel.core.journal import Queue

COMPOSE = Path(__file__).parents[2] / "docker" / "compose.yaml"


def workers_of(commands: Sequence[Sequence[str]]) -> Iterator[tuple[set[str], int]]:
    """The queues of each worker, and how many threads it has."""
    for words in commands:
        if "worker" in words:
            options = dict(pairwise(words))
            yield set(options["--queues"].split(",")), int(options.get("--concurrency", 4))


@pytest.mark.parametrize("where", ["run", "compose"])
def test_revocations_have_a_worker_of_their_own_that_silent_brokers_do_not_fill(where: str) -> None:
    if where == "run":
        commands = [list(program.words) for program in all_programs(broker=None)]
    else:
        services = yaml.safe_load(COMPOSE.read_text())["services"].values()
        commands = [service.get("command", []) for service in services]
    workers = list(workers_of(commands))
    assert sorted(queue for queues, _ in workers for queue in queues) == sorted(Queue)
    assert ({"revocation"}, THREADS) in workers
    assert all(threads == THREADS for queues, threads in workers if "policy" in queues)
