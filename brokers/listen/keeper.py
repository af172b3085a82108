"""Keeps a service and a watcher running for each registered broker, whatever happens to broker, database or network."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Thread

from django.db import DatabaseError, close_old_connections
from nats.errors import Error as NatsError

from brokers import queries
from brokers.conf import adapter_for
from brokers.core.values import AdapterKind, BrokerId, BrokerLink
from brokers.listen.callout import Callout
from brokers.services.presence import note_event, replace_sessions
from kernel.core.clock import utc_now
from kernel.core.errors import DomainError

log = logging.getLogger(__name__)

LOOK_SECONDS = 3
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 2.0
THREADS = 16


@dataclass
class _Kept:
    link: BrokerLink
    stop: Event
    watcher: Thread
    service: asyncio.Task[None] | None


class Keeper:
    """All brokers of the installation."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="judge")
        self._kept: dict[BrokerId, _Kept] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; brokers that come or go meanwhile are noticed within three seconds."""
        while not stop.is_set():
            try:
                links = await asyncio.to_thread(_links)
            except (DatabaseError, DomainError):
                log.exception("the register of brokers can not be read; trying again")
            else:
                self._arrange(links)
            try:
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue
        for broker in list(self._kept):
            self._drop(broker)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _arrange(self, links: dict[BrokerId, BrokerLink]) -> None:
        for broker, kept in list(self._kept.items()):
            if broker not in links or dict(links[broker].connection) != dict(kept.link.connection):
                self._drop(broker)
        for broker, link in links.items():
            if broker not in self._kept:
                self._kept[broker] = self._begin(link)

    def _begin(self, link: BrokerLink) -> _Kept:
        stop = Event()
        watcher = Thread(target=_watch, args=(link, stop), name=f"watch-{link.broker.name}", daemon=True)
        watcher.start()
        asks_us = link.broker.kind is AdapterKind.NATS
        service = asyncio.create_task(_serve(Callout(link, self._threads), link)) if asks_us else None
        return _Kept(link=link, stop=stop, watcher=watcher, service=service)

    def _drop(self, broker: BrokerId) -> None:
        kept = self._kept.pop(broker)
        kept.stop.set()
        if kept.service is not None:
            kept.service.cancel()


def _links() -> dict[BrokerId, BrokerLink]:
    close_old_connections()
    return {broker: queries.link_to(broker=broker) for broker in queries.all_brokers()}


async def _serve(service: Callout, link: BrokerLink) -> None:
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            await service.serve()
            pause = FIRST_PAUSE_SECONDS
        except (NatsError, OSError, TimeoutError) as error:
            log.warning("broker %s can not be answered for: %s; trying again", link.broker.name, type(error).__name__)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        await asyncio.sleep(pause)


def _watch(link: BrokerLink, stop: Event) -> None:
    """Writes down what happens at the broker, over and over, until `stop` is set."""
    while not stop.is_set():
        try:
            _watch_once(link, stop)
        except DomainError as error:
            log.info("broker %s is not heard: %s", link.broker.name, error.detail)
        except Exception:  # a watcher that dies would leave the access log blind
            log.exception("watching broker %s failed", link.broker.name)
        stop.wait(LONGEST_PAUSE_SECONDS)


def _watch_once(link: BrokerLink, stop: Event) -> None:
    adapter = adapter_for(link)
    _write(lambda: _take_stock(link))
    for event in adapter.watch(stop):
        found = event
        _write(lambda found=found: note_event(broker=link.broker.id, event=found))  # type: ignore[misc]


def _take_stock(link: BrokerLink) -> None:
    present = adapter_for(link).present()
    if present is not None:
        replace_sessions(broker=link.broker.id, present=present, now=utc_now())


def _write(work: Callable[[], None]) -> None:
    close_old_connections()
    try:
        work()
    except DatabaseError:
        log.exception("an event was not written down")
