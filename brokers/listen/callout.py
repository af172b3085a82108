"""Answering the auth callout of one NATS server. What goes wrong here refuses: nobody is let in by an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import close_old_connections
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from brokers.adapters.nats import NatsAdapter
from brokers.adapters.nats_system import ANSWER_SECONDS, connected
from brokers.core.access.reasons import AccessReason
from brokers.core.nats import callout
from brokers.core.nats import policy as nats
from brokers.core.nats.callout import CalloutRequest
from brokers.core.nats.connection import NatsConnection
from brokers.core.nats.nkeys import AccountKey, BadNkeyError
from brokers.core.nats.policy import NatsPermissions
from brokers.core.nats.version import FIT, withholds
from brokers.core.ports import BrokerUnreachable
from brokers.core.values import BrokerId, BrokerLink
from brokers.listen.refusals import RefusalLog
from brokers.services.admission import Admission, Refusal, judge_connect
from kernel.core.clock import utc_now

log = logging.getLogger(__name__)

JUDGE_SECONDS = 4
SECOND_LOOKS_SECONDS = (0.5, 1.0, 2.0, 4.0)  # the later ones only while it can not be decided
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What an admitted device gets."""

    admission: Admission
    permissions: NatsPermissions


class Callout:
    """The service for one broker. Judging reads the database, so it is done in threads."""

    def __init__(self, link: BrokerLink, threads: ThreadPoolExecutor, refusals: RefusalLog) -> None:
        self._broker = link.broker.id
        self._link = link
        self._connection = NatsConnection.of(link.connection)
        self._key = AccountKey.from_seed(self._connection.issuer_seed)
        self._threads, self._refusals = threads, refusals
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Answers until the connection is lost. Raises BrokerUnreachable if there never was one."""
        connection, lost = self._connection, asyncio.Event()
        try:
            async with connected(
                connection, user=connection.callout_user, password=connection.callout_password, lost=lost
            ) as client:
                await client.subscribe("$SYS.REQ.USER.AUTH", cb=self._start)
                await client.flush(ANSWER_SECONDS)
                log.info("answering for broker %s", self._link.broker.name)
                await lost.wait()
        except (NatsError, OSError, TimeoutError) as error:
            raise BrokerUnreachable("The NATS server does not answer: is it up?") from error
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()
            raise

    async def _start(self, message: Msg) -> None:
        """Begins an answer, and takes the next question meanwhile."""
        self._keep(self._answer(message))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: Msg) -> None:
        try:
            request = callout.parse_request(message.data.decode())
        except (BadNkeyError, UnicodeDecodeError):
            log.warning("a question that no NATS server asks; it gets no answer")
            return
        verdict = await self._verdict(request)
        try:
            await message.respond(self._said(request, verdict).encode())
        except (NatsError, OSError):
            log.warning("broker %s went away before it had its answer", self._link.broker.name)
        if isinstance(verdict, Grant):
            self._keep(self._look_again(request, verdict))
        else:
            self._refusals.note(self._broker, request, verdict)

    async def _verdict(self, request: CalloutRequest) -> Grant | Refusal:
        """What is answered. Whatever goes wrong, nobody enters by it."""
        if request.kind != "mqtt":
            return Refusal(why="Only MQTT is let in here.", reason=AccessReason.PROTOCOL_ERROR)
        if not withholds(request.version):
            return Refusal(why=f"The NATS server brings messages that are denied: upgrade it, to {FIT} at least.")
        if nats.refuses_client_id(request.client_id):
            why = "NATS takes no client id with a dot, *, > or a blank in it."
            return Refusal(why=why, reason=AccessReason.WRONG_CLIENT_ID)
        try:
            return await self._judged(request)
        except TimeoutError:
            return Refusal(why="Gatehouse could not decide in time.")
        except Exception:
            log.exception("judging a connection failed")
            return Refusal(why="Gatehouse could not decide.")

    async def _judged(self, request: CalloutRequest) -> Grant | Refusal:
        return await asyncio.wait_for(self._in_thread(_judge, self._broker, request), JUDGE_SECONDS)

    def _said(self, request: CalloutRequest, verdict: Grant | Refusal) -> str:
        now = utc_now()
        if isinstance(verdict, Refusal):
            return callout.refuse(request, key=self._key, why=verdict.why, now=now)
        return callout.grant(
            request,
            key=self._key,
            account=self._connection.account,
            auth_id=verdict.admission.subject.principal.auth_id,
            granted=verdict.permissions,
            expires_at=verdict.admission.expires_at,
            now=now,
        )

    async def _look_again(self, request: CalloutRequest, before: Grant) -> None:
        """Closes what was granted a moment before it was taken away, and so was not yet there to be closed."""
        for pause in SECOND_LOOKS_SECONDS:
            await asyncio.sleep(pause)
            try:
                found = await self._judged(request)
            except Exception as error:  # noqa: BLE001 - without a database nothing is taken away; checks follow
                log.warning("a second look was not possible: %s", type(error).__name__)
                continue
            if isinstance(found, Refusal) or found.permissions != before.permissions:
                await self._close(before)
            return

    async def _close(self, granted: Grant) -> None:
        try:
            await self._in_thread(NatsAdapter(link=self._link).disconnect, granted.admission.subject.principal)
        except BrokerUnreachable:
            log.warning("broker %s does not answer; the next check closes what has to be", self._link.broker.name)

    def _in_thread(self, work: Callable[..., _Result], *given: Any) -> asyncio.Future[_Result]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work, *given)


def _judge(broker: BrokerId, request: CalloutRequest) -> Grant | Refusal:
    close_old_connections()
    verdict = judge_connect(
        broker=broker, chain=request.chain, client_id=request.client_id, username=request.username, now=utc_now()
    )
    if isinstance(verdict, Refusal):
        return verdict
    return Grant(admission=verdict, permissions=nats.accepted_permissions(verdict.subject, verdict.accepted))
