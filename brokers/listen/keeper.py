"""Keeps a service and a watcher running for each registered broker, whatever happens to broker, database or network."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Thread

from django.db import DatabaseError, close_old_connections
from django.db import Error as DatabaseFault

from brokers import queries
from brokers.conf import adapter_for
from brokers.core.values import AccessKind, AdapterKind, BrokerEvent, BrokerId, BrokerLink, DriftHint, EventsLost
from brokers.embedded import refresh_embedded
from brokers.listen.callout import Callout
from brokers.listen.checks import CheckAsker
from brokers.listen.refusals import RefusalLog
from brokers.listen.writing import EventWriter
from brokers.services import policy_use
from brokers.services.presence import replace_sessions
from kernel.core.clock import utc_now
from kernel.core.errors import DomainError

log = logging.getLogger(__name__)

WAITS_FOR_NOBODY = frozenset({AdapterKind.MOSQUITTO_DYNSEC, AdapterKind.NATS, AdapterKind.NATS_FILES})
"""What others tell stands in a queue or a file until there is room."""
LOOK_SECONDS = 3
STOCK_SECONDS = 30
SETTLE_SECONDS = 2.0
REFRESH_SECONDS = 3600
WATCH_PAUSE_SECONDS = 0.5
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 2.0
LAST_SECONDS = 1.0
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
        self._refusals = RefusalLog()
        self._kept: dict[BrokerId, _Kept] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; brokers that come or go meanwhile are noticed within three seconds."""
        due = time.monotonic()
        while not stop.is_set():
            if time.monotonic() >= due:
                await asyncio.to_thread(_refresh)
                due = time.monotonic() + REFRESH_SECONDS
            try:
                links = await asyncio.to_thread(_links)
            except DatabaseError:
                log.exception("the register of brokers can not be read; trying again")
            else:
                self._arrange(links)
            try:
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        watchers = [kept.watcher for kept in self._kept.values()]
        for broker in list(self._kept):
            self._drop(broker)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._refusals.close()
        end = time.monotonic() + LAST_SECONDS
        for watcher in watchers:
            watcher.join(max(0.0, end - time.monotonic()))
        policy_use.flush()

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
        service = asyncio.create_task(self._serve(link)) if asks_us else None
        return _Kept(link=link, stop=stop, watcher=watcher, service=service)

    def _drop(self, broker: BrokerId) -> None:
        kept = self._kept.pop(broker)
        kept.stop.set()
        if kept.service is not None:
            kept.service.get_loop().call_soon_threadsafe(kept.service.cancel)

    async def _serve(self, link: BrokerLink) -> None:
        """Answers for the broker, over and over, until it is cancelled."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            try:
                await Callout(link, self._threads, self._refusals).serve()
                log.warning("broker %s is gone; trying again", link.broker.name)
            except DomainError as error:
                log.warning("broker %s can not be answered for: %s Trying again.", link.broker.name, error.detail)
            except Exception:  # whatever it is, it must not end the service of this broker or of another
                log.exception("answering for broker %s failed; trying again", link.broker.name)
            lasted = time.monotonic() - began > LONGEST_PAUSE_SECONDS
            pause = FIRST_PAUSE_SECONDS if lasted else min(2 * pause, LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)


def _refresh() -> None:
    close_old_connections()
    try:
        if refresh_embedded(now=utc_now()):
            log.info("the embedded broker has a new certificate")
    except Exception:  # tried again in an hour; the certificate has a month left
        log.exception("the certificate of the embedded broker could not be renewed")


def _links() -> dict[BrokerId, BrokerLink]:
    close_old_connections()
    found = {}
    for broker in queries.all_brokers():
        try:
            found[broker] = queries.link_to(broker=broker)
        except DatabaseError:
            raise
        except Exception:  # one that can not be read is no reason to leave the others alone
            log.exception("how broker %s is spoken to can not be read", broker)
    return found


def _watch(link: BrokerLink, stop: Event) -> None:
    """Writes down what happens at the broker, over and over, until `stop` is set; says once that it is down."""
    said, writer, checks = "", EventWriter(link.broker.id), CheckAsker(link.broker.id)
    while not stop.is_set():
        began = time.monotonic()
        try:
            _watch_once(link, writer, checks, stop)
        except (DomainError, DatabaseFault) as error:
            why = error.detail if isinstance(error, DomainError) else "The database is away."
            if why != said or time.monotonic() - began > STOCK_SECONDS:
                log.info("broker %s is not heard: %s", link.broker.name, why)
            said = why
        except Exception:  # a watcher that dies would leave the access log blind
            log.exception("watching broker %s failed", link.broker.name)
        stop.wait(WATCH_PAUSE_SECONDS)
    writer.close()


def _watch_once(link: BrokerLink, writer: EventWriter, checks: CheckAsker, stop: Event) -> None:
    """Until the connection is lost. Stock is taken once it is heard what happens, and then every 30 s.

    Never while events still wait: it is of later than they.
    """
    close_old_connections()
    adapter, due = adapter_for(link), time.monotonic()
    for event in adapter.watch(stop):
        if isinstance(event, BrokerEvent):
            if event.kind is AccessKind.STARTED:
                checks.ask()
            if link.broker.kind in WAITS_FOR_NOBODY:
                writer.offer(event, heard=True)
            else:
                writer.put(event)
        elif isinstance(event, DriftHint):
            checks.ask()
        elif isinstance(event, EventsLost):
            writer.lose(event.count)
        elif time.monotonic() >= due:
            settled = writer.settle(seconds=SETTLE_SECONDS)
            if settled:
                _take_stock(link)
            due = time.monotonic() + (STOCK_SECONDS if settled else SETTLE_SECONDS)


def _take_stock(link: BrokerLink) -> None:
    close_old_connections()
    present = adapter_for(link).present()
    if present is None:
        return
    try:
        replace_sessions(broker=link.broker.id, present=present, now=utc_now())
    except DatabaseError:
        log.exception("who is connected to broker %s was not written down", link.broker.name)
