"""Who-can, and the difference one role edit makes, over 10,000, 100,000 and 1,000,000 devices in 200 groups.

Reach: 2 s and 500 MB at a million.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from typing import Any

from bench.crl import _run as run
from tests.servers import running_postgresql

SIZES = (10_000, 100_000, 1_000_000)


def measure(sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """By size: seconds of each question on the clock and of CPU (medians of five), and peaks of memory."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-analyse-") as folder, running_postgresql() as url:
        environment = {"DATABASE_URL": url, "GATEHOUSE_HOME": f"{folder}/home"}
        run(environment, "manage.py", "migrate", "--verbosity", "0")
        run(environment, "-m", "bench.analyse_fleet", "prepare")
        seen, before = {}, 0
        for size in sizes:
            run(environment, "-m", "bench.analyse_fleet", "fill", str(before), str(size))
            seen[str(size)], before = json.loads(run(environment, "-m", "bench.analyse_fleet", "ask")), size
    return {**seen, "exponents": _exponents(seen)}


def _exponents(seen: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Of CPU time over size, between the two largest sizes; it is known to 0.01 s."""
    sizes = sorted(map(int, seen))
    if len(sizes) < 2:
        return {}
    small, large = sizes[-2:]
    before, after = seen[str(small)]["cpu_seconds"], seen[str(large)]["cpu_seconds"]
    return {
        name: round(math.log(max(after[name], 0.01) / max(before[name], 0.01)) / math.log(large / small), 2)
        for name in after
    }
