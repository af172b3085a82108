"""Wake-ups of brokers.

A target is `broker:<name>`, for people; the order key ends in the id of the broker that is meant, whatever it is called
by now. The entry says which device it is about, if it is about one.
"""

from __future__ import annotations

import logging
import random
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from celery import shared_task

from brokers import queries, services
from brokers.core.ports import BrokerUnreachable
from brokers.core.registration import EMBEDDED
from brokers.core.values import BrokerId
from brokers.embedded import refresh_embedded
from devices.core.values import DeviceId, PrincipalKind, principal_held
from kernel.core.clock import utc_now
from kernel.core.journal import Queue
from kernel.services import Defer, Wake
from kernel.tasks import wakeup_task

log = logging.getLogger(__name__)

_GONE = "The broker is no longer registered."


@wakeup_task("brokers.evict")
def evict(wake: Wake) -> str | None:
    """Shuts the entry's device out of the broker."""
    broker, device = _broker(wake), _device(wake)
    if broker is None or device is None:
        return _GONE
    with services.knocking(broker=broker, now=utc_now(), quick="evict"):
        return services.evict(
            broker=broker,
            device=device,
            now=utc_now(),
            by_certificate=wake.entry.subject.kind == "pki.certificate",
            bulk="bulk" in wake.entry.after,
        ).detail


@wakeup_task("brokers.disconnect")
def disconnect(wake: Wake) -> str | None:
    """Ends the sessions of the entry's device at the broker, not before the entry says."""
    broker, device = _broker(wake), _device(wake)
    if broker is None or device is None:
        return _GONE
    not_before = wake.entry.after.get("not_before")
    if not_before and utc_now() < (until := datetime.fromisoformat(not_before)):
        raise Defer(until=until, detail="It waits until the broker lets nobody in any more by what was before.")
    with services.knocking(broker=broker, now=utc_now(), quick="disconnect"):
        bulk = "bulk" in wake.entry.after
        return services.disconnect(broker=broker, device=device, now=utc_now(), bulk=bulk).detail


@wakeup_task("brokers.push")
def push(wake: Wake) -> str | None:
    """Brings the broker to the desired state: of the entry's device, or of everything."""
    broker = _broker(wake)
    if broker is None:
        return _GONE
    with services.knocking(broker=broker, now=utc_now()):
        return services.converge(broker=broker, device=_device(wake), now=utc_now(), seq=wake.entry.seq).detail


@wakeup_task("brokers.apply")
def apply(wake: Wake) -> str | None:
    """Applies the policy to the broker as a whole."""
    broker = _broker(wake)
    if broker is None:
        return _GONE
    with services.knocking(broker=broker, now=utc_now()):
        return services.converge(broker=broker, now=utc_now(), seq=wake.entry.seq).detail


@wakeup_task("brokers.push_crl")
def push_crl(wake: Wake) -> str | None:
    """Gives the newest CRLs, and the CAs to trust, to the broker."""
    broker = _broker(wake)
    if broker is None:
        return _GONE
    if broker == queries.find_broker_id(name=EMBEDDED) and refresh_embedded(now=utc_now()):
        return "The embedded broker has read the CAs that it trusts anew, and every session has begun again."
    with services.knocking(broker=broker, now=utc_now(), quick="push_crl"):
        return services.push_crl(broker=broker, now=utc_now())


@wakeup_task("brokers.probe")
def probe(wake: Wake) -> str | None:
    """Looks at the broker's listeners and at how it is managed, as somebody asked for it."""
    broker = _broker(wake)
    if broker is None:
        return _GONE
    found = services.probe_listeners(broker=broker, now=utc_now())
    if not found.reports:
        return "It has nothing to look at."
    return f"Of {len(found.reports)} port(s), {found.to_mend or 'nothing'} to mend."


@shared_task(name="brokers.check_drift", ignore_result=True, expires=30)
def check_drift() -> None:
    """Asks for a check of each broker. Beat asks for it every 15 s."""
    brokers = queries.all_brokers()
    random.shuffle(brokers)  # of those that do not answer, not always the same are asked
    for broker in brokers:
        check_one.apply_async(kwargs={"broker": str(broker)})


@shared_task(name="brokers.check_one", ignore_result=True, expires=30)
def check_one(*, broker: str) -> None:
    """Compares one broker with the policy, so that one that does not answer holds up nobody."""
    id = BrokerId(UUID(broker))
    with suppress(BrokerUnreachable), services.knocking(broker=id, now=utc_now()):
        outcome = services.check_drift(broker=id, now=utc_now())
        if outcome.detail:
            log.info("broker %s: %s: %s", broker, outcome.sync, outcome.detail)


@shared_task(name="brokers.probe_listeners", ignore_result=True, expires=43_200)
def probe_listeners() -> None:
    """Asks for a look at the listeners of each broker, one every ten seconds. Beat asks for it each day."""
    for number, broker in enumerate(queries.all_brokers()):
        probe_one.apply_async(kwargs={"broker": str(broker)}, queue=Queue.BULK.value, countdown=10 * number)


@shared_task(name="brokers.probe_one", ignore_result=True, expires=43_200)
def probe_one(*, broker: str) -> None:
    """Looks at one broker; one that was removed meanwhile has nothing to see."""
    with suppress(queries.BrokerNotFound):
        services.probe_listeners(broker=BrokerId(UUID(broker)), now=utc_now())


def _broker(wake: Wake) -> BrokerId | None:
    id = BrokerId(UUID(wake.order_key.rpartition(":")[2]))
    return id if queries.is_registered(broker=id) else None


def _device(wake: Wake) -> DeviceId | None:
    """The device or application that the entry is about, or that holds the certificate that it is about."""
    if wake.entry.subject.kind in {f"devices.{kind}" for kind in PrincipalKind}:
        return DeviceId(UUID(wake.entry.subject.id))
    return principal_held(str(wake.entry.after.get("holder", "")))


@shared_task(name="brokers.watch_rollouts", ignore_result=True, expires=5)
def watch_rollouts() -> None:
    """Looks at changes that come in waves, and does what is next. Beat asks for it every 5 s."""
    services.watch_rollouts(now=utc_now())


@shared_task(name="brokers.roll_access_log", ignore_result=True)
def roll_access_log() -> None:
    """Makes the daily files of the access log, and forgets what is old. Beat asks for it each hour."""
    found = services.roll_access_log(now=utc_now())
    if found.made or found.removed or found.forgotten:
        log.info(
            "access log: %s files made, %s removed, %s lines forgotten", found.made, found.removed, found.forgotten
        )


@shared_task(name="brokers.rotate_token_keys", ignore_result=True)
def rotate_token_keys() -> None:
    """Makes the next key that signs access tokens, and removes old ones. Beat asks for it each minute."""
    services.rotate_token_keys(now=utc_now())
