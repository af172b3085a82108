"""What a broker asks over HTTP at each login and each topic, and what it is answered, whichever dialect it speaks.

A dialect (emqx.py and its like) reads a request into a question and writes the answer. It must not know who the
devices are: judging.py judges, and brokers/services/deciding.py knows whom.

What is made at every question is a named tuple, which costs a third of a frozen dataclass.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType
from uuid import UUID

from acl.core.values import EVERY_QOS, Request, Verdict
from brokers.core.access.reasons import AccessReason

DecisionSecretId = NewType("DecisionSecretId", UUID)
EITHER = frozenset({False, True})
ONLY = (frozenset({False}), frozenset({True}))
"""By the one truth value."""
ONE_QOS = tuple(frozenset({qos}) for qos in sorted(EVERY_QOS))
"""By the QoS."""
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")  # RFC 7515 7.1; `{"` begins each header


class Identity(StrEnum):
    """What a broker's word on who somebody is rests on.

    shown: each login hands the client's certificate, token or password over, which is judged here, and none without
    one is let in.
    certificate: whoever made the secret says that the broker lets nobody log in without a client certificate of the
    domain's CAs, and takes the username from it; so that names are believed.
    """

    SHOWN = "shown"
    CERTIFICATE = "certificate"


class Method(StrEnum):
    """What may prove who logs in: a certificate, or what came as the password, by its shape."""

    CERTIFICATE = "certificate"
    TOKEN = "token"  # noqa: S105 - what it is called
    PASSWORD = "password"  # noqa: S105 - what it is called


EVERY_METHOD = tuple(Method)


class WishKind(StrEnum):
    """What somebody who is connected wants to do."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    RECEIVE = "receive"


class Wish(NamedTuple):
    """One topic. What the broker does not say (`qos`, `retain`, which group) is every value that it may have.

    `topic` of a subscription is without `$share/<group>/`; `group` is None for a plain one. `any_group`: it may be
    plain or of any group.
    """

    kind: WishKind
    topic: str
    qos: frozenset[int] = EVERY_QOS
    retain: frozenset[bool] = EITHER
    group: str | None = None
    any_group: bool = False


@dataclass(frozen=True, slots=True)
class Password:
    """What came as the password of a CONNECT; an empty one proves nobody."""

    text: str = field(repr=False)

    @property
    def is_token(self) -> bool:
        """Whether it has the shape of a signed token (JWS compact serialisation), and so is taken for nothing else."""
        return _TOKEN.fullmatch(self.text) is not None


class Login(NamedTuple):
    """Somebody connects as `username`. What the broker does not send is None; an empty text never matches anybody.

    `certificate` is the client's in DER, `common_name` what the broker says of it: empty if there is none.
    `wants_rules`: the broker is to judge topics by itself, until it has to ask about the login again. `address` is the
    client's by the broker's word, empty if it does not say.
    """

    username: str
    client_id: str | None = None
    certificate: bytes | None = None
    common_name: str | None = None
    password: Password | None = None
    wants_rules: bool = False
    address: str = ""


class Presence(NamedTuple):
    """Whether `username`, whose login was asked about, may be there at all, with that client id."""

    username: str
    client_id: str | None = None


class Acts(NamedTuple):
    """What `username` wants to do. `by_name_alone`: it may be there without that its login was asked about."""

    username: str
    client_id: str | None
    wishes: tuple[Wish, ...]
    common_name: str | None = None
    by_name_alone: bool = False


Question = Login | Presence | Acts


class Judgement(NamedTuple):
    """`allowed` has one member for each wish, and one for a login or a presence; () refuses all.

    `until` is when a login has to be judged anew, `rules` what holds until then, as JSON for EMQX, if it was asked for;
    `decided` is what the policy said of each wish, `reason` and `why` tell why somebody is refused before that.
    """

    allowed: tuple[bool, ...] = ()
    decided: tuple[tuple[Request, Verdict], ...] = ()
    until: datetime | None = None
    rules: bytes | None = None
    reason: AccessReason = AccessReason.UNDECIDED
    why: str = ""

    @property
    def all_allowed(self) -> bool:
        """Whether everything is."""
        return bool(self.allowed) and all(self.allowed)


class Unreadable(Exception):
    """The request is none that this dialect has: it is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSecret:
    """A secret by which one broker asks, without the secret itself."""

    id: DecisionSecretId
    identity: Identity
    created_at: datetime


class Asked(NamedTuple):
    """The octets of a request, its content type without parameters, and VerneMQ's name of the hook."""

    body: bytes
    content_type: str = ""
    hook: str = ""


class Answer(NamedTuple):
    """What goes back. No answer may be cached."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One path of a dialect. `read` raises Unreadable; `say` gets no question when there was none to read."""

    read: Callable[[Asked], Question]
    say: Callable[[Question | None, Judgement], Answer]


NO = Judgement()
