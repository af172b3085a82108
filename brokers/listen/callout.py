"""Answering the auth callout of one NATS server. What goes wrong here refuses: nobody is let in by an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

from django.db import close_old_connections
from nats.aio.msg import Msg

from brokers.adapters.nats import NatsAdapter
from brokers.adapters.nats_system import connected
from brokers.core import callout, nats
from brokers.core.callout import CalloutRequest
from brokers.core.nats_connection import NatsConnection
from brokers.core.nkeys import AccountKey, BadNkeyError
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import BrokerId, BrokerLink
from brokers.services.admission import Admission, Refusal, judge_connect
from brokers.services.presence import note_refused
from kernel.core.clock import utc_now

log = logging.getLogger(__name__)

JUDGE_SECONDS = 4
SECOND_LOOK_SECONDS = 0.5
Verdict = Admission | Refusal
_Result = TypeVar("_Result")


class Callout:
    """The service for one broker. Judging reads the database, so it is done in threads."""

    def __init__(self, link: BrokerLink, threads: ThreadPoolExecutor) -> None:
        self._broker = link.broker.id
        self._link = link
        self._connection = NatsConnection.of(link.connection)
        self._key = AccountKey.from_seed(self._connection.issuer_seed)
        self._threads = threads
        self._looks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Answers until the connection is lost. Raises what connecting raises."""
        connection, lost = self._connection, asyncio.Event()
        async with connected(
            connection, user=connection.callout_user, password=connection.callout_password, lost=lost
        ) as client:
            await client.subscribe("$SYS.REQ.USER.AUTH", cb=self._start)
            log.info("answering for broker %s", self._link.broker.name)
            await lost.wait()

    async def _start(self, message: Msg) -> None:
        """Begins an answer, and takes the next question meanwhile."""
        self._keep(self._answer(message))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

    async def _answer(self, message: Msg) -> None:
        try:
            request = callout.parse_request(message.data.decode())
        except (BadNkeyError, UnicodeDecodeError):
            log.warning("a question that no NATS server asks; it gets no answer")
            return
        verdict = await self._judged(request)
        await message.respond(self._said(request, verdict).encode())
        if isinstance(verdict, Admission):
            self._keep(self._look_again(request, verdict))
        else:
            self._in_thread(_note_refused, self._broker, request, verdict)

    async def _judged(self, request: CalloutRequest) -> Verdict:
        if request.kind != "mqtt":
            return Refusal(why="Only MQTT is let in here.")
        try:
            return await asyncio.wait_for(self._in_thread(_judge, self._broker, request), JUDGE_SECONDS)
        except TimeoutError:
            return Refusal(why="Gatehouse could not decide in time.")
        except Exception:  # whatever it is, nobody enters by it
            log.exception("judging a connection failed")
            return Refusal(why="Gatehouse could not decide.")

    def _said(self, request: CalloutRequest, verdict: Verdict) -> str:
        now = utc_now()
        if isinstance(verdict, Refusal):
            return callout.refuse(request, key=self._key, why=verdict.why, now=now)
        return callout.grant(
            request,
            key=self._key,
            account=self._connection.account,
            auth_id=verdict.subject.principal.auth_id,
            granted=nats.permissions(verdict.subject),
            expires_at=verdict.expires_at,
            now=now,
        )

    async def _look_again(self, request: CalloutRequest, before: Admission) -> None:
        """Closes what was granted a moment before it was taken away, and so was not yet there to be closed."""
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        now = await self._judged(request)
        if isinstance(now, Admission) and nats.permissions(now.subject) == nats.permissions(before.subject):
            return
        try:
            await self._in_thread(NatsAdapter(link=self._link).disconnect, before.subject.principal)
        except BrokerUnreachable:
            log.warning("broker %s does not answer; the next check closes what has to be", self._link.broker.name)

    def _in_thread(self, work: Callable[..., _Result], *given: Any) -> asyncio.Future[_Result]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work, *given)


def _judge(broker: BrokerId, request: CalloutRequest) -> Verdict:
    close_old_connections()
    return judge_connect(
        broker=broker, chain=request.chain, client_id=request.client_id, username=request.username, now=utc_now()
    )


def _note_refused(broker: BrokerId, request: CalloutRequest, refusal: Refusal, at: datetime | None = None) -> None:
    close_old_connections()
    try:
        note_refused(
            broker=broker,
            at=at or utc_now(),
            auth_id=refusal.auth_id,
            client_id=request.client_id,
            address=request.address,
            detail=refusal.why,
        )
    except Exception:  # the log is no reason to fail
        log.exception("a refusal was not written down")
