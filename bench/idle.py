"""How long the second start takes until it is ready, and how much memory all processes hold. Reach: 6 s, 600 MB."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.e2e.house import House

RUNS = 5


def measure() -> dict[str, Any]:
    """Medians of five second starts. Memory is the proportional set size (shared pages counted once), in MB."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder) / "home")
        house.start()
        house.stop()
        ready, memory = [], []
        for _ in range(RUNS):
            began = time.monotonic()
            house.start()
            ready.append(time.monotonic() - began)
            time.sleep(3)
            memory.append(sum(_pss(process) for process in house.processes()) / 1000)
            house.stop()
    return {"ready_seconds": round(statistics.median(ready), 2), "memory_mb": round(statistics.median(memory))}


def _pss(process: int) -> int:
    """In kB; 0 if it has just ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
