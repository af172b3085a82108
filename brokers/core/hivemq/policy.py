"""Policy as what HiveMQ holds: accounts, roles and permissions; three formats write that down.

They are ESE's SQL realm and file realm, and the Community Edition's file RBAC. All only allow. A connection without
any permission may do everything, so nobody is left without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

from acl.core.values import Publish, Request
from brokers.core.hivemq.accounts import Accounts
from brokers.core.hivemq.dialect import Dialect, is_text
from brokers.core.hivemq.permissions import NOTHING, Account, Permission, Realm, in_order
from brokers.core.ports import DeviationKind, RenderSubject, Standing
from brokers.core.rendering import Deviations, Limit

OURS = "gh."
NOTHING_ROLE = f"{OURS}nothing"

LIMITS = (
    Limit(kind=DeviationKind.NARROWER, why="Topics with control characters or Unicode noncharacters are refused."),
    Limit(
        kind=DeviationKind.NARROWER,
        why="Unless mqtt.allow-dollar-topics is set, who publishes to a topic that begins with $ is disconnected.",
    ),
    Limit(
        kind=DeviationKind.NARROWER,
        why="Who may not publish its will is refused at CONNECT, whatever else it may.",
    ),
    Limit(
        kind=DeviationKind.NARROWER,
        why="Permissions are taken at connect: who gains one has to connect again.",
    ),
    Limit(
        kind=DeviationKind.SIGNALLING,
        why=(
            f"Every account may subscribe to {NOTHING.topic}, where nothing is published: an account without any "
            "permission could do everything."
        ),
    ),
)
# What holds of the Enterprise Security Extension besides.
ESE_LIMITS = (
    *LIMITS,
    Limit(
        kind=DeviationKind.WIDER,
        why=(
            "Who loses a permission keeps it until it is disconnected, and what it subscribed to for as long as its "
            "session is kept: end both (DELETE /api/v1/mqtt/clients/<client id>)."
        ),
    ),
    Limit(
        kind=DeviationKind.WIDER,
        why=(
            "A session is ended by its client id, which a client chooses, unless the pipeline takes it for the name of "
            "the account: one that was opened with another goes on with what it had, also of who is thrown out."
        ),
    ),
    Limit(
        kind=DeviationKind.WIDER,
        why=(
            "Whoever is admitted without an account here has no permission, and may then do everything: let the "
            "pipeline log in by this realm."
        ),
    ),
)


def realm_of(subjects: Iterable[RenderSubject], dialect: Dialect, deviations: Deviations) -> Realm:
    """What HiveMQ should hold for these subjects: their accounts, and every role that those refer to."""
    accounts = Accounts(dialect, deviations)
    roles = {NOTHING_ROLE: frozenset({NOTHING})}
    users = {}
    for subject in subjects:
        name = subject.principal.auth_id
        if subject.state is Standing.ABSENT or not _has_an_account(subject, dialect, deviations):
            continue
        holding = accounts.holding(subject)
        named = {_role_name(role, held): held for role, held in holding.shared}
        if holding.own and not dialect.personal:
            named[f"{OURS}d.{name}"] = holding.own
        roles |= named
        users[name] = Account(
            roles=tuple(sorted({NOTHING_ROLE, *named})),
            permissions=holding.own if dialect.personal else frozenset(),
            barred=subject.state is Standing.BARRED,
        )
    return Realm(users=users, roles=roles)


def limited(request: Request) -> bool:
    """Whether the broker refuses the request whatever the policy says."""
    dollar = isinstance(request, Publish) and request.topic.startswith("$")
    return dollar or not is_text(request.topic)


@lru_cache(maxsize=65_536)
def _role_name(role: str, held: frozenset[Permission]) -> str:
    """One name for each set that a role comes to: principals with the same set share it, whoever they are."""
    spelled = "\n".join("\t".join(permission.place) for permission in in_order(held))
    return f"{OURS}r.{role}.{hashlib.sha256(spelled.encode()).hexdigest()[:24]}"


def _has_an_account(subject: RenderSubject, dialect: Dialect, deviations: Deviations) -> bool:
    if subject.state is Standing.BARRED and not dialect.keeps_barred:
        return False
    name, client_id = subject.principal.auth_id, subject.principal.client_id
    fault = ""
    if not is_text(name) or (dialect.trims and name != name.strip()):
        fault = "The account's name has control characters, or blanks at an end: it gets no account."
    elif not dialect.wildcard_names and any(character in name + client_id for character in "+#"):
        fault = "HiveMQ refuses + and # in the account's name or client id: it gets no account."
    if fault:
        for bound in subject.policy:
            deviations.note(bound, name, DeviationKind.NARROWER, fault)
    return not fault
