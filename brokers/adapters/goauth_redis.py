"""A Mosquitto with mosquitto-go-auth, by the keys that the plugin reads from Redis.

Every key that says what somebody may do is ours, whoever wrote it; of passwords those are that are hashed as ours. The
plugin asks at each publish, subscription and delivery, as far as its cache lets it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from acl.core.values import Action, Principal, Request
from brokers.adapters.dialed_clients import DialedRedis, DialedRedisTls
from brokers.adapters.policy_alone import PolicyAlone
from brokers.adapters.writing import Latest, paced
from brokers.core import effects
from brokers.core.effects import Flow
from brokers.core.goauth import redis as goauth_redis
from brokers.core.goauth.cache import FOUND, is_cached
from brokers.core.goauth.emulator import emulate_keys
from brokers.core.goauth.redis import SETS, GoAuthKeys, is_set, key_fault, parse, to_artifact
from brokers.core.goauth.redis_connection import GoAuthRedisConnection, connection_errors
from brokers.core.password_steps import password_steps
from brokers.core.password_texts import fingerprints, texts_in
from brokers.core.password_texts import goauth as spell_password
from brokers.core.ports import (
    AppliedState,
    BrokerUnreachable,
    Capabilities,
    DesiredState,
    Effect,
    PasswordRoom,
    Rendering,
    Step,
)
from brokers.core.values import BrokerLink
from devices.core.password_verifier import ITERATIONS
from kernel.core.errors import FieldError

_BATCH = 50
_AT_ONCE = 500
_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 10
_SUPERUSER = "su"
_HASHED = f"PBKDF2$sha512${ITERATIONS}$"
_CACHED = "// The plugin's cache is there as well.\n"
_STRANGE = frozenset({"?"})  # what is no set of topics: it is written anew
_RIGHTS = {Action.PUBLISH: ("wacls", "rwacls"), Action.SUBSCRIBE: ("racls", "rwacls")}

Sets = Mapping[str, frozenset[str]]
"""Those of one user, by the last part of their key."""


class GoAuthRedisAdapter(PolicyAlone):
    """Writes sets of topics, and passwords where the broker takes them."""

    capabilities: ClassVar[Capabilities] = replace(goauth_redis.CAPABILITIES, passwords=PasswordRoom.ONE)

    def __init__(self, *, link: BrokerLink) -> None:
        self._connection = GoAuthRedisConnection.of(link.connection)
        self._has_passwords = link.broker.takes_passwords is not None
        self._compile = Latest(_compiled)

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return connection_errors(connection)

    def render(self, desired: DesiredState) -> Rendering:
        """The keys."""
        return self._compile(desired)[1]

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """The sets that there are; with `only` those of these users. Superusers are the ones that are not ours."""
        with self._session() as database:
            keys = list(database.scan_iter(count=_AT_ONCE) if only is None else _keys_of(only))
            sets = _sets(database, [key for key in keys if is_set(key)])
            passwords = _passwords(database, keys if only is None else sorted(only)) if self._has_passwords else {}
            superusers = [key for key in keys if key.endswith(f":{_SUPERUSER}") and database.exists(key)]
        foreign = frozenset(key.rpartition(":")[0] for key in superusers)
        artifact = (_CACHED if any(map(is_cached, keys)) else "") + to_artifact(GoAuthKeys(sets=sets))
        return AppliedState(artifact=artifact, only=only, foreign=foreign, passwords=passwords)

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """Superusers first, whom no set binds; then users whose sets differ: who has none, who loses some, others."""
        wanted, present = _by_user(self._compile(desired)[0]), _by_user(_parsed(applied))
        steps = [
            Step(kind="delete-superuser", target=name, summary=f"Let {name} be no superuser, who may do everything.")
            for name in sorted(applied.foreign)
        ]
        names = [name for name in sorted(wanted.keys() | present.keys()) if wanted.get(name) != present.get(name)]
        names.sort(key=lambda name: (name in wanted, not _loses(present.get(name, {}), wanted.get(name, {}))))
        steps += [_step(name, wanted.get(name, {})) for name in names]
        return (*steps, *password_steps(_texts(desired), applied.passwords))

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses which filters; a warning where the plugin's cache tells passwords."""
        after, before = _by_user(self._compile(desired)[0]), _by_user(_parsed(applied))
        found = effects.effect({*after, *before}, partial(_flow, before), partial(_flow, after))
        return replace(found, warnings=(FOUND,)) if applied.artifact.startswith(_CACHED) else found

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Each user in a transaction of its own."""
        with self._session() as database:
            for step in paced(steps, between, every=_BATCH):
                _make(database, step)

    def disconnect(self, principal: Principal) -> None:
        """None: the plugin closes no session."""
        del principal

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether the plugin would let it pass."""
        return emulate_keys(parse(rendering.artifact), principal, request)

    @contextmanager
    def _session(self) -> Iterator[Redis]:
        """A connection. What goes wrong within becomes BrokerUnreachable."""
        place = self._connection
        tls: dict[str, Any] = {"ssl": True, "ssl_ca_data": place.ca_pem, "ssl_check_hostname": True}
        try:
            with Redis(
                host=place.host,
                port=place.port,
                db=place.database,
                username=place.username or None,
                password=place.password or None,
                decode_responses=True,
                encoding_errors="replace",
                socket_connect_timeout=_CONNECT_SECONDS,
                socket_timeout=_ANSWER_SECONDS,
                retry=Retry(NoBackoff(), 0),
                **(tls if place.ca_pem else {}),
            ) as database:
                database.connection_pool.connection_class = DialedRedisTls if place.ca_pem else DialedRedis
                yield database
        except (RedisError, OSError) as error:
            why = (str(error).strip().splitlines() or ["no answer in time"])[0][:200]
            where = f"{place.host}:{place.port}"
            raise BrokerUnreachable(f"Redis at {where} does not answer as it should: {why}") from error


def _compiled(desired: DesiredState) -> tuple[GoAuthKeys, Rendering]:
    rendering = goauth_redis.render(desired.subjects)
    return parse(rendering.artifact), replace(rendering, passwords=fingerprints(_texts(desired)))


def _parsed(applied: AppliedState) -> GoAuthKeys:
    return parse(applied.artifact.removeprefix(_CACHED)) if applied.artifact else GoAuthKeys()


def _texts(desired: DesiredState) -> dict[str, str]:
    """What is kept of passwords; none under a name whose key would be something else of somebody else."""
    texts = texts_in(desired, spell_password)
    return {name: text for name, text in texts.items() if not key_fault(name)}


def _make(database: Redis, step: Step) -> None:
    """Makes one change."""
    match step.kind:
        case "delete-superuser":
            database.delete(f"{step.target}:{_SUPERUSER}")
        case "set-password":
            database.set(step.target, step.payload)
        case "take-password":
            database.delete(step.target)
        case _:
            with database.pipeline(transaction=True) as change:
                change.delete(*(f"{step.target}:{name}" for name in SETS))
                for name, topics in json.loads(step.payload).items():
                    change.sadd(f"{step.target}:{name}", *topics)
                change.execute()


def _keys_of(names: Iterable[str]) -> Iterator[str]:
    return (f"{name}:{last}" for name in sorted(names) for last in (*SETS, _SUPERUSER))


def _sets(database: Redis, keys: Sequence[str]) -> dict[str, frozenset[str]]:
    """Those of the sets that there are."""
    found = {
        key: _STRANGE if isinstance(topics, Exception) or "" in topics else frozenset(topics)
        for key, topics in _answers(database, "smembers", keys)
    }
    return {key: topics for key, topics in found.items() if topics}


def _passwords(database: Redis, keys: Sequence[str]) -> dict[str, str]:
    """Fingerprints of the passwords that were hashed as Gatehouse does."""
    names = [key for key in keys if not key_fault(key)]
    answers = _answers(database, "get", names)
    return fingerprints({key: text for key, text in answers if isinstance(text, str) and text.startswith(_HASHED)})


def _answers(database: Redis, command: str, keys: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """What Redis answers about each key; an error where it is of another type. Raises RedisError over any other one."""
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        with database.pipeline(transaction=False) as questions:
            for key in some:
                getattr(questions, command)(key)
            answers = questions.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception) and not str(answer).startswith("WRONGTYPE"):
                raise answer  # what our account may not read is not for that reason not there
        yield from zip(some, answers, strict=True)


def _by_user(keys: GoAuthKeys) -> Mapping[str, Sets]:
    found: dict[str, dict[str, frozenset[str]]] = defaultdict(dict)
    for key, topics in keys.sets.items():
        name, _, last = key.rpartition(":")
        found[name][last] = topics
    return found


def _loses(before: Sets, after: Sets) -> bool:
    return any(topics - after.get(last, frozenset()) for last, topics in before.items())


def _flow(users: Mapping[str, Sets], name: str, action: Action) -> Flow:
    sets = users.get(name, {})
    return Flow(allows=frozenset(topic for last in _RIGHTS[action] for topic in sets.get(last, ())))


def _step(name: str, sets: Sets) -> Step:
    payload = json.dumps({last: sorted(topics) for last, topics in sorted(sets.items())})
    summary = f"What {name} may do." if sets else f"Take out {name}."
    return Step(kind="set-user", target=name, summary=summary, payload=payload)
