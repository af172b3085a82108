"""Policy compiled for every target: 100,000 devices, and one that changed. Reach: 20 s, and 50 ms in any fleet.

The fleet has 200 groups and 20 types; a device has twelve rules of three roles. Seven have placeholders that differ by
device, type or attribute, and one denies. Beside it stands what the engine alone takes to fill in every device's rules.
Seconds are of CPU: the machine may be busy.
"""

from __future__ import annotations

import math
import random
import resource
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import Any
from uuid import UUID

from acl.core.evaluation import effective
from acl.core.values import Action, BindingRef, BoundRule, Effect, Principal, Rule, RuleId
from brokers.core.ports import RenderSubject, Standing
from brokers.core.targets import TARGETS

SIZES = (10_000, 30_000, 100_000)
GROUPS, TYPES, RUNS = 200, 20, 20
_PUBLISH, _SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})


def measure() -> dict[str, Any]:
    """By target and size: CPU seconds of the whole, milliseconds of one device; exponent, artifact, memory."""
    found: dict[str, Any] = {"devices": list(SIZES), "filling_in_cpu_seconds": _alone(_fill)}
    for name in TARGETS:
        found[name] = _alone(_compile, name)
        print(f"  {name}: {found[name]}", flush=True)
    return found


def _alone(work: Any, *given: Any) -> Any:
    """What `work` says, in a process of its own."""
    with ProcessPoolExecutor(1) as process:
        return process.submit(work, *given).result()


def _fill() -> float:
    subjects = list(fleet(SIZES[-1]))
    began = time.process_time()
    for subject in subjects:
        effective(subject.policy, subject.principal)
    return round(time.process_time() - began, 2)


def _compile(name: str) -> dict[str, Any]:
    target = TARGETS[name]
    seconds, ones, octets = [], [], 0
    for size in SIZES:
        subjects = list(fleet(size))
        began = time.process_time()
        rendering = target.render(subjects)
        seconds.append(time.process_time() - began)
        octets = len(rendering.artifact.encode())
        changed = subjects[size // 2]
        ones.append(statistics.median(_timed(name, changed) for _ in range(RUNS)))
    return {
        "cpu_seconds": [round(each, 2) for each in seconds],
        "one_changed_ms": [round(each * 1_000, 2) for each in ones],
        "exponent": round(_exponent(seconds), 2),
        "artifact_mb": round(octets / 1e6, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _timed(name: str, changed: RenderSubject) -> float:
    began = time.process_time()
    TARGETS[name].render([changed])
    return time.process_time() - began


def _exponent(seconds: list[float]) -> float:
    """The slope of a straight line through the logarithms of first and last."""
    return math.log(seconds[-1] / seconds[0]) / math.log(SIZES[-1] / SIZES[0])


def fleet(size: int) -> Iterator[RenderSubject]:
    """Devices of one domain, ten of a thousand barred; policies of the same group and type are one tuple."""
    everybody = _role("device", _EVERYBODY, "domain", "north")
    types = [_role(f"type-{number}", _TYPE, "device_type", f"type-{number}") for number in range(TYPES)]
    groups = [_role(f"group-{number}", _group(number), "group", f"group-{number}") for number in range(GROUPS)]
    kinds = list(product(range(TYPES), range(GROUPS)))
    policies = {(kind, group): (*everybody, *types[kind], *groups[group]) for kind, group in kinds}
    roll = random.Random(1)
    for number in range(size):
        kind, group = roll.randrange(TYPES), roll.randrange(GROUPS)
        barred = number % 100 == 99
        name = f"pump-{number:06}"
        yield RenderSubject(
            principal=Principal(
                id=str(UUID(int=number)),
                auth_id=name,
                client_id=name,
                username=name,
                domain="north",
                device_type=f"type-{kind}",
                groups=(f"group-{group}",),
                attributes={"site": f"site-{number % 50}", "line": number % 7},
            ),
            policy=() if barred else policies[kind, group],
            state=Standing.BARRED if barred else Standing.ADMITTED,
        )


_EVERYBODY = (
    (Effect.ALLOW, _PUBLISH, "${domain}/${auth_id}/up/#"),
    (Effect.ALLOW, _SUBSCRIBE, "${domain}/${auth_id}/down/#"),
    (Effect.ALLOW, _SUBSCRIBE, "${domain}/all/#"),
    (Effect.ALLOW, _PUBLISH, "${domain}/health/${auth_id}"),
)
_TYPE = (
    (Effect.ALLOW, _PUBLISH, "${domain}/${device_type}/${auth_id}/values/+"),
    (Effect.ALLOW, _SUBSCRIBE, "${domain}/${attr.site}/commands/#"),
    (Effect.ALLOW, _SUBSCRIBE, "${domain}/firmware/+/ready"),
    (Effect.DENY, _PUBLISH, "${domain}/health/gateway"),
)


def _group(number: int) -> tuple[tuple[Effect, frozenset[Action], str], ...]:
    return (
        (Effect.ALLOW, _SUBSCRIBE, f"north/hall-{number}/alarms/#"),
        (Effect.ALLOW, _SUBSCRIBE, f"north/hall-{number}/time"),
        (Effect.ALLOW, _PUBLISH, f"north/hall-{number}/readings/+/raw"),
        (Effect.ALLOW, _PUBLISH | _SUBSCRIBE, f"north/hall-{number}/chat"),
    )


def _role(
    name: str, rules: tuple[tuple[Effect, frozenset[Action], str], ...], via: str, to: str
) -> tuple[BoundRule, ...]:
    roll = random.Random(name)
    binding = BindingRef(id=UUID(int=roll.getrandbits(128)), via=via, target=to)
    return tuple(
        BoundRule(
            rule=Rule(id=RuleId(UUID(int=roll.getrandbits(128))), effect=effect, actions=actions, topic=topic),
            role_name=name,
            binding=binding,
        )
        for effect, actions, topic in rules
    )
