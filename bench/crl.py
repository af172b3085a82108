"""CRLs of 10,000, 100,000 and 1,000,000 entries from PostgreSQL, beside `openssl ca -gencrl` on the same ones.

Reach: 10 times as fast as openssl, 400 MB, and 20 ms for one of 128 shards.
"""

from __future__ import annotations

import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.servers import running_postgresql

ROOT = Path(__file__).resolve().parents[1]
SIZES = (10_000, 100_000, 1_000_000)
OPENSSL_RUNS = 5
_CONFIGURATION = """
[ca]
default_ca = bench
[bench]
database = {folder}/index.txt
crlnumber = {folder}/number
default_md = sha256
default_crl_days = 7
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
"""


def measure(sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """By size: seconds of both, their ratio, and the peak of memory; and how the time grows with the size.

    CPU time, of ours with that of PostgreSQL's process, depends less on what else the machine does.

    `publish` is everything after one revocation: reading, signing, reading back, and storing the full CRL, the delta
    and one shard. `build_ratio` leaves out storing, the delta and the shard: `openssl` reads its index, signs, and
    writes a PEM file.
    """
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-crl-") as folder, running_postgresql() as url:
        peer = _Openssl(Path(folder))
        environment = {"DATABASE_URL": url, "GATEHOUSE_HOME": f"{folder}/home"}
        _run(environment, "manage.py", "migrate", "--verbosity", "0")
        _run(environment, "-m", "bench.crl_build", "prepare")
        seen, before = {}, 0
        for size in sizes:
            _run(environment, "-m", "bench.crl_build", "fill", str(before), str(size), str(peer.index))
            ours = json.loads(_run(environment, "-m", "bench.crl_build", "build"))
            seen[str(size)], before = ours | peer.measure(beside=ours), size
    return {
        **seen,
        "exponent": _exponent(seen, "publish_seconds"),
        "openssl_exponent": _exponent(seen, "openssl_seconds"),
    }


def _run(environment: dict[str, str], *words: str) -> str:
    """What a Python program of ours prints."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-4000:])
    return done.stdout


class _Openssl:
    """A CA of `openssl ca` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.index, self._configuration, self._crl = folder / "index.txt", folder / "ca.cnf", folder / "crl.pem"
        (folder / "number").write_text("01\n")
        self.index.touch()
        self._configuration.write_text(_CONFIGURATION.format(folder=folder))
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{folder}/ca.key")
        self._call("req", "-x509", *kind, "-subj", "/CN=Bench", "-out", f"{folder}/ca.pem")

    def measure(self, *, beside: dict[str, Any]) -> dict[str, Any]:
        """Medians of five CRLs, and how many times as long they take, on the clock and in CPU time."""
        found, cpu = [], []
        for _ in range(OPENSSL_RUNS):
            began, worked = time.perf_counter(), _children_cpu()
            self._call("ca", "-config", str(self._configuration), "-gencrl", "-out", str(self._crl))
            found.append(time.perf_counter() - began)
            cpu.append(_children_cpu() - worked)
        seconds, cpu_seconds = statistics.median(found), statistics.median(cpu)
        built = beside["read_seconds"] + beside["sign_and_check_seconds"]
        return {
            "openssl_seconds": round(seconds, 3),
            "openssl_cpu_seconds": round(cpu_seconds, 3),
            "ratio": round(seconds / beside["publish_seconds"], 1),
            "build_ratio": round(seconds / built, 1),
            "cpu_ratio": round(cpu_seconds / max(beside["publish_cpu_seconds"], 0.001), 1),
        }

    def _call(self, *words: str) -> None:
        subprocess.run(["openssl", *words], capture_output=True, check=True)


def _children_cpu() -> float:
    """Seconds that ended children have been at work."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _exponent(seen: dict[str, dict[str, Any]], name: str) -> float | None:
    """Of time over size, between the two largest sizes; None for a single size."""
    sizes = sorted(map(int, seen))
    if len(sizes) < 2:
        return None
    small, large = sizes[-2:]
    return round(math.log(seen[str(large)][name] / seen[str(small)][name]) / math.log(large / small), 2)
