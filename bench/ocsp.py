"""OCSP of a million certificates over HTTP: prepared, signed when asked, and revoked; beside peers and limits.

Reach: prepared 0.6 of bare granian, 15 times django-ca with its cache, 2 times `openssl ocsp`; signed when asked 0.2
of raw P-256 signatures, 12 times django-ca; revoked within a second.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.loading import Load, load
from bench.ocsp_house import Million, found_house, memory_megabytes, web
from bench.ocsp_peers import SHELF, WARM, DjangoCa, bare_granian, openssl_ocsp
from bench.ocsp_questions import Questions
from bench.ocsp_visible import measure_visible
from console.processes import web_words
from tests.servers import running_postgresql

SIZES = (10_000, 100_000, 1_000_000)
RUNS = 5
SECONDS = 2.0
_ANSWER = b"\x2b\x06\x01\x05\x05\x07\x30\x01\x01"  # id-pkix-ocsp-basic, which no error has


def measure() -> dict[str, Any]:
    """Answers by CPU second of the server's processes; medians of five runs, peers in turn with ours.

    By `web --only-pki`, and `with the console` by `web`; bare granian and django-ca have as many threads as ours.
    """
    with tempfile.TemporaryDirectory() as kept, running_postgresql() as database:
        folder = Path(kept)
        house = found_house(folder, database)
        seen: dict[str, Any] = {"sizes": {}}
        for size in SIZES:
            house.grow(size)
            seen["sizes"][size] = {
                "preparing": house.prepare(),
                **_beside_bare(house, folder, only_pki=True),
                "with the console": _beside_bare(house, folder, only_pki=False),
            }
            print(f"  {size}: {seen['sizes'][size]}", flush=True)
        seen["exponents"] = _exponents(seen["sizes"])
        seen["revoke-visible"] = measure_visible(house)
        print(f"  revoke-visible: {seen['revoke-visible']}", flush=True)
        ours = seen["sizes"][SIZES[-1]]
        seen["openssl ocsp"] = _guarded(lambda: _beside_openssl(house, folder, ours))
        seen["django-ca"] = _guarded(lambda: _beside_django_ca(folder, ours))
    return seen


def _beside_bare(house: Million, folder: Path, *, only_pki: bool) -> dict[str, Any]:
    questions = Questions(house.issuer, f"/pki/{house.slug}/ocsp", house.serials)
    ours = web_words(host="127.0.0.1", port=house.house.port, only_pki=only_pki)
    with (
        bare_granian(folder, only_pki=only_pki) as (port, bare),
        web(house.house.environment, ours, house.house.port) as process,
    ):
        ask = _asking(house.house.port, process, _ANSWER)
        ask_bare = _asking(port, bare, bytes(1500))
        for _ in range(2):  # the first answers teach the process; a third of a second later it maps the edition
            ask(questions.plain())
            time.sleep(0.4)
        rounds = [
            {
                "bare": ask_bare(questions.plain()),
                "post": ask(questions.plain()),
                "get": ask(questions.by_get()),
                "live": ask(questions.with_nonce()),
                "raw": _raw_signatures(),
            }
            for _ in range(RUNS)
        ]
        memory = memory_megabytes(process)
    ratios = {name: [each[name] / each["bare"] for each in rounds] for name in ("post", "get")}
    return {
        **{f"{name}_per_cpu_second": round(statistics.median(each[name] for each in rounds)) for name in rounds[0]},
        "post_of_bare": round(statistics.median(ratios["post"]), 2),
        "get_of_bare": round(statistics.median(ratios["get"]), 2),
        "live_of_raw_signatures": round(statistics.median(each["live"] / each["raw"] for each in rounds), 2),
        "web_megabytes": round(memory),
    }


def _asking(port: int, process: int, expect: bytes, *, keeps: bool = True) -> Callable[[list[bytes]], float]:
    def ask(requests: list[bytes]) -> float:
        seen: Load = load(port, process, requests, seconds=SECONDS, expect=expect, keeps=keeps)
        return seen.per_cpu_second

    return ask


def _raw_signatures() -> float:
    """P-256 signatures over 300 octets by the CPU second, in this process."""
    key, count, began = ec.generate_private_key(ec.SECP256R1()), 0, time.process_time()
    while time.process_time() - began < SECONDS / 4:
        key.sign(bytes(300), ec.ECDSA(hashes.SHA256()))
        count += 1
    return count / (time.process_time() - began)


def _beside_openssl(house: Million, folder: Path, ours: dict[str, Any]) -> dict[str, Any]:
    with openssl_ocsp(folder, house.serials) as (port, process, questions):
        ask = _asking(port, process, _ANSWER, keeps=False)
        found = statistics.median(ask(questions.plain(2_000)) for _ in range(RUNS))
        memory = memory_megabytes(process)
    return {
        "version": subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.strip(),
        "per_cpu_second": round(found),
        "megabytes": round(memory),
        "ours_is_times": round(ours["post_per_cpu_second"] / found, 1),
    }


def _beside_django_ca(folder: Path, ours: dict[str, Any]) -> dict[str, Any]:
    peer = DjangoCa(folder / "django-ca")
    found: dict[str, Any] = {"version": peer.version}
    for name, cached, asked in (("random", True, SHELF), ("warm", True, WARM), ("live", False, WARM)):
        with peer.serve(cached=cached, asked=asked) as (port, process, questions):
            ask = _asking(port, process, _ANSWER)
            ready = questions.plain() if cached else questions.with_nonce()
            for _ in range(3 if name == "warm" else 0):
                ask(ready)
            per_cpu_second = statistics.median(ask(ready) for _ in range(RUNS))
        found[f"{name}_per_cpu_second"] = round(per_cpu_second)
        found[f"{name}_ours_is_times"] = round(
            ours[f"{'post' if cached else 'live'}_per_cpu_second"] / per_cpu_second, 1
        )
    return found


def _guarded(measure_peer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A peer that can not be had is said to be missing."""
    try:
        found = measure_peer()
    except (OSError, AssertionError, RuntimeError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        found = {"missing": str(said)[-300:]}
    print(f"  {found}", flush=True)
    return found


def _exponents(sizes: dict[int, dict[str, Any]]) -> dict[str, float]:
    """How cost grows from the smallest size to the largest: of an answer, and of preparing all."""
    low, high = sizes[SIZES[0]], sizes[SIZES[-1]]
    span = math.log(SIZES[-1] / SIZES[0])
    answer = math.log(low["post_of_bare"] / high["post_of_bare"]) / span
    prepare = math.log(high["preparing"]["cpu_seconds"] / low["preparing"]["cpu_seconds"]) / span
    return {"one answer": round(answer, 2), "preparing all": round(prepare, 2)}
