"""What the demonstration tells: enrol, connect, publish, be refused, be revoked; each step with what was seen."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from console.demo.api import Api, Enrolled
from console.demo.device import Device, make_request

SITES = ("north", "south", "harbour", "ridge")
TOKEN_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One step: what happened, and whether it is what had to happen."""

    text: str
    good: bool


class Story:
    """A fleet of `size` devices named `<prefix>-0001` and on, against one installation."""

    def __init__(self, *, api: Api, domain: str, size: int, prefix: str) -> None:
        self._api, self._domain, self._size, self._prefix = api, domain, size, prefix
        self._devices: list[Device] = []

    def play(self) -> Iterator[Seen]:
        """Every step, as it is done."""
        yield self._enroll()
        yield self._connect()
        yield self._publish()
        yield self._refuse()
        yield from self._revoke()

    def breathe(self) -> None:
        """A few devices publish, once."""
        for device in random.sample(self._devices, k=min(20, len(self._devices))):
            if device.connected.is_set():
                device.publish(f"{self._domain}/{device.name}/up/temperature", f"{random.gauss(21, 2):.1f}")

    def end(self) -> None:
        """Every device leaves."""
        for device in self._devices:
            device.leave()

    def _enroll(self) -> Seen:
        token = self._api.post(
            "enrolment-tokens/", {"profile": "default", "max_uses": self._size, "expires_in": TOKEN_SECONDS}
        )["token"]
        began = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            names = [f"{self._prefix}-{number:04}" for number in range(1, self._size + 1)]
            enrolled = list(pool.map(lambda name: self._enroll_one(token, name), names))
        seconds = time.monotonic() - began
        broker = self._api.get("brokers/embedded/")["listeners"][0]
        self._devices = [Device(each, host=broker["host"], port=broker["port"]) for each in enrolled]
        return Seen(text=f"{self._size} devices enrolled in {seconds:.1f} s ({self._size / seconds:.0f}/s)", good=True)

    def _enroll_one(self, token: str, name: str) -> Enrolled:
        key, csr = make_request(name)
        site = SITES[hash(name) % len(SITES)]
        return self._api.enroll(token=token, name=name, key=key, csr=csr, site=site)

    def _connect(self) -> Seen:
        began = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            admitted = sum(pool.map(lambda device: device.connect(), self._devices))
        seconds = time.monotonic() - began
        text = f"{admitted} of {self._size} connected over mutual TLS in {seconds:.1f} s"
        return Seen(text=text, good=admitted == self._size)

    def _publish(self) -> Seen:
        for device in self._devices:
            device.subscribe(f"{self._domain}/{device.name}/down/#")
            device.publish(f"{self._domain}/{device.name}/up/hello", device.name)
        time.sleep(1)
        refused = sum(len(device.refused) for device in self._devices)
        return Seen(text=f"each subscribed to its own topics and said hello; {refused} were refused", good=refused == 0)

    def _refuse(self) -> Seen:
        thieves = self._devices[1 : 1 + max(1, self._size // 25)]
        for thief in thieves:
            thief.subscribe(f"{self._domain}/{self._devices[0].name}/down/#")
        end = time.monotonic() + 5
        while sum(len(thief.refused) for thief in thieves) < len(thieves) and time.monotonic() < end:
            time.sleep(0.02)
        refused = sum(len(thief.refused) for thief in thieves)
        text = f"{refused} of {len(thieves)} subscriptions to another device's topics refused"
        return Seen(text=text, good=refused == len(thieves))

    def _revoke(self) -> Iterator[Seen]:
        device = self._devices[-1]
        began = time.monotonic()
        operation = self._api.post(
            f"devices/{device.id}/revoke/", {"reason": "keyCompromise", "note": "stolen, says the demonstration"}
        )["operation"]
        closed = device.closed.wait(5)
        elapsed = (device.closed_at - began) * 1000
        yield Seen(text=f"{device.name} revoked: its live session was closed after {elapsed:.0f} ms", good=closed)
        yield self._watch(operation)
        admitted = device.connect(seconds=3)
        yield Seen(text=f"{device.name} came back and was {'ADMITTED' if admitted else 'refused'}", good=not admitted)

    def _watch(self, operation: str) -> Seen:
        end = time.monotonic() + 15
        while (state := self._api.get(f"operations/{operation}/"))["state"] not in {"done", "failed"}:
            if time.monotonic() > end:
                break
            time.sleep(0.1)
        steps = ", ".join(f"{step['target']} {step['elapsed_ms']} ms" for step in state["steps"])
        return Seen(text=f"the operation is {state['state']}: {steps}", good=state["state"] == "done")
