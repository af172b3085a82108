"""HTTP decisions (EMQX's questions) about random devices of a register of up to a million, beside bare granian.

Logins and publishes to the same topics come again and again; publishes to topics that are new are apart.

Devices that were never asked about, and all of a thousand after an edit of a role that the whole domain has, are
learnt from the database: `first` and `after_edit`.

Reach: 0.3 of bare, p99 of 10 ms at half of what it can.
"""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.crl import _run as run
from bench.decide_edit import Relearning, learnt_anew
from bench.loading import load
from bench.ocsp_house import ROOT, SETUP, free_port, memory_megabytes, web
from bench.ocsp_peers import bare_granian
from bench.pacing import p99_milliseconds
from console.processes import web_words
from tests.servers import running_postgresql

SIZES = (10_000, 100_000, 1_000_000)
RUNS = 3
SECONDS = 2.0
PACED_SECONDS = 5.0
ASKED = 1_000
"""About so many devices a process is asked again and again: those that are connected to its brokers."""
FIRST = 4_000
"""About so many more are asked about once: more than are learnt in the time."""
NEW = 30_000
"""About so many topics that nobody asked about before, in each round."""
_PREPARE = (
    SETUP
    + """
import json
from brokers import services
from brokers.core.decide.decisions import Identity
from brokers.core.values import AdapterKind
from devices.models import Domain
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
who = {"actor": SYSTEM, "now": utc_now()}
broker = services.register_broker(
    domain=Domain.objects.get(slug="bench").id, name="bench", kind=AdapterKind.HTTP_DECISIONS,
    connection={"dialect": "emqx"}, **who)
made = services.mint_decision_secret(broker=broker.id, identity=Identity.CERTIFICATE, **who)
print(json.dumps([str(broker.id), made.secret]))
"""
)
_EDIT = (
    SETUP
    + """
import sys
from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect
from acl.queries import find_role
from acl.services import change_role
from devices.models import Domain
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
role = find_role(domain=Domain.objects.get(slug="bench").id, name="everyone")
topic = "${domain}/${client_id}/edited/" + sys.argv[1]
more = RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic=topic)
change_role(role=role.id, rules=[*map(RuleSpec.of, role.rules), more], actor=SYSTEM, now=utc_now())
"""
)
_VISIBLE = (
    SETUP
    + """
import json, sys, time, urllib.request
from devices import services
from devices.models import Device
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
url, secret, seen = sys.argv[1], sys.argv[2], []
def allowed(name):
    members = {"clientid": name, "username": name, "action": "publish", "qos": "1", "retain": "false"}
    body = json.dumps(members | {"topic": f"bench/{name}/up/t"}).encode()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    return b"allow" in urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10).read()
for number in range(10):
    name = f"pump-{number}"
    assert allowed(name)
    services.suspend_device(device=Device.objects.get(auth_id=name).id, actor=SYSTEM, now=utc_now())
    began = time.monotonic()
    while allowed(name):
        time.sleep(0.002)
    seen.append(time.monotonic() - began)
    services.resume_device(device=Device.objects.get(auth_id=name).id, actor=SYSTEM, now=utc_now())
    time.sleep(0.4)
print(max(seen))
"""
)


def measure(sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """By size: answers by CPU second (medians of three, in turn with bare granian), first ones, p99, megabytes.

    `after_edit_…`: until each of those asked about was answered by the new policy, and the longest of three times that
    a broker waited for an answer meanwhile. `suspended_shows_after_seconds` is the longest of ten, from the commit
    until a publish is refused.
    """
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-decide-") as kept, running_postgresql() as url:
        environment = {"DATABASE_URL": url, "GATEHOUSE_HOME": f"{kept}/home"}
        run(environment, "manage.py", "migrate", "--verbosity", "0")
        run(environment, "-m", "bench.analyse_fleet", "prepare")
        broker, secret = json.loads(run(environment, "-c", _PREPARE))
        seen, before = {}, 0
        for size in sizes:
            run(environment, "-m", "bench.analyse_fleet", "fill", str(before), str(size))
            seen[str(size)], before = _at_size(Questions(broker, secret, size), Path(kept), environment), size
            print(f"  {size}: {seen[str(size)]}", flush=True)
    return {**seen, "exponents": _exponents(seen)}


class Questions:
    """What EMQX asks about random devices that are active."""

    def __init__(self, broker: str, secret: str, size: int) -> None:
        self.path, self.secret, self.size = f"/decide/{broker}/emqx", secret, size
        self._numbers = [number for number in random.sample(range(size), ASKED + FIRST) if number % 100 != 99]

    def connects(self, first: int, end: int) -> list[bytes]:
        """Logins of the devices `first` to `end` of the sample."""
        return [self._post("authn", f"pump-{number}") for number in self._numbers[first:end]]

    def connects_with_rules(self, first: int, end: int) -> list[bytes]:
        """The same, of brokers that take the rules with the answer and judge topics by themselves."""
        return [self._post("authn-acl", f"pump-{number}") for number in self._numbers[first:end]]

    def publishes(self, first: int, end: int) -> list[bytes]:
        """Publishes of the same, each to a topic of its own."""
        wish = {"action": "publish", "qos": "1", "retain": "false"}
        return [
            self._post("authz", f"pump-{number}", topic=f"bench/pump-{number}/up/t", **wish)
            for number in self._numbers[first:end]
        ]

    def edited_publishes(self, edit: str) -> list[bytes]:
        """Publishes to a topic that only the edit of that name allows."""
        wish = {"action": "publish", "qos": "1", "retain": "false"}
        return [
            self._post("authz", f"pump-{number}", topic=f"bench/pump-{number}/edited/{edit}", **wish)
            for number in self._numbers[: ASKED * 9 // 10]
        ]

    def new_publishes(self, round: int) -> list[bytes]:
        """Publishes to topics that were never asked about, more than a server keeps answers."""
        wish = {"action": "publish", "qos": "1", "retain": "false"}
        return [
            self._post("authz", f"pump-{number}", topic=f"bench/pump-{number}/up/{round}/{topic}", **wish)
            for topic in range(NEW // ASKED)
            for number in self._numbers[: ASKED * 9 // 10]
        ]

    def _post(self, call: str, name: str, **members: str) -> bytes:
        body = json.dumps({"clientid": name, "username": name, "cert_cn": name, **members}).encode()
        head = f"POST {self.path}/{call} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        return f"{head}Authorization: Bearer {self.secret}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _at_size(questions: Questions, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    port, asked = free_port(), ASKED * 9 // 10
    words = web_words(host="127.0.0.1", port=port)
    connects, publishes = questions.connects(0, asked), questions.publishes(0, asked)
    with_rules = questions.connects_with_rules(0, asked)
    kinds = {"connect": connects, "connect_with_rules": with_rules, "publish": publishes}
    everything = {**environment, "GATEHOUSE_PORT": str(port)}
    with bare_granian(folder, only_pki=False) as (bare_port, bare), web(everything, words, port) as process:
        first = _ask(port, process, questions.connects(ASKED, ASKED + FIRST))
        for some in range(0, asked, 100):  # until each was asked about
            hundred = connects[some : some + 100]
            while _ask(port, process, hundred, seconds=0.5).answers < len(hundred):
                pass
        rounds = [
            {name: _ask(port, process, each) for name, each in kinds.items()}
            | {"new_publish": _ask(port, process, questions.new_publishes(round))}
            | {"bare": load(bare_port, bare, publishes, seconds=SECONDS, expect=bytes(1500))}
            for round in range(RUNS)
        ]
        half, new_half = (
            statistics.median(each[name].per_second for each in rounds) / 2 for name in ("publish", "new_publish")
        )
        p99 = p99_milliseconds(port, publishes, per_second=half, seconds=PACED_SECONDS)
        p99_of_bare = p99_milliseconds(bare_port, publishes, per_second=half, seconds=PACED_SECONDS)
        new_p99 = p99_milliseconds(port, questions.new_publishes(RUNS), per_second=new_half, seconds=PACED_SECONDS)
        edits = [_edit(port, process, questions, everything, f"{questions.size}-{run}") for run in range(RUNS)]
        megabytes = memory_megabytes(process)
        visible = run(everything, "-c", _VISIBLE, f"http://127.0.0.1:{port}{questions.path}/authz", questions.secret)
    found = {name: statistics.median(each[name].per_cpu_second for each in rounds) for name in rounds[0]}
    return {
        **{f"{name}_per_cpu_second": round(value) for name, value in found.items()},
        **{
            f"{name}_of_bare": round(
                statistics.median(each[name].per_cpu_second / each["bare"].per_cpu_second for each in rounds), 2
            )
            for name in (*kinds, "new_publish")
        },
        "first_per_cpu_second": round(first.per_cpu_second),
        "p99_milliseconds_at_half": round(p99, 1),
        "p99_milliseconds_of_bare_at_that": round(p99_of_bare, 1),
        "new_publish_p99_milliseconds_at_half": round(new_p99, 1),
        "after_edit_per_cpu_second": round(statistics.median(each.answers / each.cpu_seconds for each in edits)),
        "after_edit_seconds": round(statistics.median(each.seconds for each in edits), 2),
        "after_edit_longest_milliseconds": round(max(each.longest for each in edits) * 1_000, 1),
        "web_megabytes": round(megabytes),
        "suspended_shows_after_seconds": round(float(visible), 2),
    }


def _edit(port: int, process: int, questions: Questions, environment: dict[str, str], name: str) -> Relearning:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    words = [sys.executable, "-c", _EDIT, name]
    with subprocess.Popen(words, cwd=ROOT, env=kept | environment, stdout=subprocess.DEVNULL) as edit:
        return learnt_anew(port, process, questions.edited_publishes(name), edit)


def _ask(port: int, process: int, requests: list[bytes], *, seconds: float = SECONDS) -> Any:
    return load(port, process, requests, seconds=seconds, expect=b'"result":"allow"')


def _exponents(seen: dict[str, dict[str, Any]]) -> dict[str, float]:
    """How the cost of an answer grows from the smallest size to the largest."""
    sizes = sorted(map(int, seen))
    if len(sizes) < 2:
        return {}
    low, high, span = seen[str(sizes[0])], seen[str(sizes[-1])], math.log(sizes[-1] / sizes[0])
    return {
        name: round(math.log(low[f"{name}_per_cpu_second"] / high[f"{name}_per_cpu_second"]) / span, 2)
        for name in ("connect", "connect_with_rules", "publish", "new_publish", "first")
    }
