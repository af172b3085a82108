"""Whom a broker's rules are about: a username or a client id. One scope for a principal, and one principal for a name.

EMQX asks the rules of the client id before those of the username, so rules in both scopes would beat each other's
denies. A principal that cannot be told from another one gets no rules, and so nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from acl.core.values import Effect, Principal
from brokers.core.ports import DeviationKind, RenderSubject, Standing
from brokers.core.rendering import Deviations

BY_CLIENT_ID = (
    "Principals without a username are known by their client id, which a client chooses: "
    "let certificates set it (mqtt.peer_cert_as_clientid)."
)
_NAMELESS = "The principal has neither username nor client id, so no rule can be about it: it gets nothing."
_AMBIGUOUS = "Another principal has the same name on this broker, so no rule can be about one of them: it gets nothing."


class Scope(StrEnum):
    """Which of its names a principal is known by."""

    __hash__ = str.__hash__  # that of Enum is no C

    USERNAME = "username"
    CLIENTID = "clientid"


class Identity(NamedTuple):
    """A name in its scope; usernames are sorted behind client ids, as EMQX asks them."""

    scope: Scope
    name: str


def identity_of(principal: Principal) -> Identity:
    """The username if there is one, since that is what was authenticated; else the client id, which may be empty."""
    if principal.username:
        return Identity(Scope.USERNAME, principal.username)
    return Identity(Scope.CLIENTID, principal.client_id)


def identified(subjects: Iterable[RenderSubject], deviations: Deviations) -> Mapping[Identity, RenderSubject]:
    """The subjects that are not absent, by what they are known by; those that can not be told apart are left out."""
    present = [subject for subject in subjects if subject.state is not Standing.ABSENT]
    client_ids = Counter(subject.principal.client_id for subject in present)
    identities = Counter(identity_of(subject.principal) for subject in present)
    found = {}
    for subject in present:
        identity = identity_of(subject.principal)
        if not identity.name:
            note_nothing(subject, deviations, _NAMELESS)
        elif identities[identity] > 1 or (identity.scope is Scope.CLIENTID and client_ids[identity.name] > 1):
            note_nothing(subject, deviations, _AMBIGUOUS)
        else:
            found[identity] = subject
    return found


def note_nothing(subject: RenderSubject, deviations: Deviations, why: str) -> None:
    """Notes of every allow of the subject that it is lost."""
    for bound in subject.policy:
        if bound.rule.effect is Effect.ALLOW:
            deviations.note(bound, subject.principal.auth_id, DeviationKind.NARROWER, why)


def warnings_about(identities: Iterable[Identity]) -> Sequence[str]:
    """What to see to on the broker, for these identities."""
    return (BY_CLIENT_ID,) if any(identity.scope is Scope.CLIENTID for identity in identities) else ()
