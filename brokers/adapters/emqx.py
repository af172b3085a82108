"""EMQX 5.8 and 6 through its management API: rules of the built-in database, by username.

EMQX judges no delivery again, so whoever loses something has to connect anew, and finds a cache of its own verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from threading import Event
from typing import Any, ClassVar

from acl.core.values import Principal, Request
from brokers.adapters.emqx_lists import every
from brokers.adapters.emqx_passwords import check_authenticator, superusers_of, users_of
from brokers.adapters.emqx_writing import RULES, end, make, set_passwords
from brokers.adapters.json_api import JsonApi
from brokers.adapters.writing import Latest, Refusals, paced
from brokers.core.api_path import path
from brokers.core.emqx import rules as emqx_rules
from brokers.core.emqx import rules_emulator as emqx_rules_emulator
from brokers.core.emqx.changes import OURS, EmqxHeld, changes, effect, passing_by, read_held, write_held
from brokers.core.emqx.connection import EmqxConnection, connection_errors
from brokers.core.emqx.events import connection_id
from brokers.core.emqx.passwords import held_passwords, without_notes
from brokers.core.emqx.rule import rules_of
from brokers.core.emqx.rules import EmqxRules, parse
from brokers.core.emqx.steps import step_of, with_rules
from brokers.core.emqx.version import oldest, refuse_old, version_note
from brokers.core.password_steps import SET, TAKE, password_steps
from brokers.core.password_texts import emqx as spell_password
from brokers.core.password_texts import fingerprints, texts_in
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Effect, PasswordRoom, Rendering, Standing, Step
from brokers.core.taken_names import taken, turned_away
from brokers.core.values import AccessKind, BrokerEvent, BrokerLink
from kernel.core.errors import Conflict, FieldError

_RIGHTS = "Give its API key the scopes access_control, connections and monitoring, or the role administrator."
_BATCH = 20
_PAUSE_SECONDS = 5.0


class RulesNotAsked(Conflict):
    """EMQX decides by something else before it looks at the rules that are ours."""

    code = "emqx-rules-not-asked"


class EmqxAdapter:
    """Speaks to one cluster."""

    capabilities: ClassVar[Capabilities] = replace(emqx_rules.CAPABILITIES, passwords=PasswordRoom.ONE)

    def __init__(self, *, link: BrokerLink) -> None:
        self._connection = EmqxConnection.of(link.connection)
        self._has_passwords = link.broker.takes_passwords is not None
        self._compile = Latest(_compiled)

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return connection_errors(connection)

    def capabilities_here(self) -> Capabilities:
        """Those of its kind."""
        return self.capabilities

    def render(self, desired: DesiredState) -> Rendering:
        """The rules of the database."""
        return self._compile(desired)[1]

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """The rules there, and whom we have banned. Raises RulesNotAsked, if of all: a ban holds anyway.

        Accounts are all names that rules are about, and superusers, whom no rule binds.
        """
        with self._api() as broker:
            version = oldest(broker.get("nodes"))
            if only is None:
                _check_sources(broker)
            state = EmqxRules(
                no_match=broker.get("authorization", "settings")["no_match"],
                everyone=rules_of((broker.ask("GET", f"{RULES}/all") or {"rules": []})["rules"]),
                clients={row["clientid"]: rules_of(row["rules"]) for row in _rules(broker, "clients", only)},
                users={row["username"]: rules_of(row["rules"]) for row in _rules(broker, "users", only)},
            )
            bans = _bans(broker, only)
            accounts = users_of(broker, only) if self._has_passwords else []
            superusers = superusers_of(broker, only)
        ours = {name: without_notes(rules) for name, rules in state.users.items()}
        held = EmqxHeld(
            rules=replace(state, users=ours),
            banned=frozenset(row["who"] for row in bans),
            banned_by_us=frozenset(row["who"] for row in bans if row["by"] == OURS),
            superusers=superusers,
        )
        named = superusers.union(state.users, state.clients)
        passwords = held_passwords(accounts, state)
        return AppliedState(artifact=write_held(held), version=version, only=only, foreign=named, passwords=passwords)

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """The rules, bans and passwords that differ. Users of names that no device has are somebody else's.

        A device that is called like somebody's superuser gets no rules. Raises OldEmqx.
        """
        if desired.only is None:  # whoever is thrown out is so whatever the broker is
            refuse_old(applied.version)
        wanted, present, held = self._compile(desired)[0], read_held(applied.artifact), applied.passwords
        if refused := _superusers(desired, present.superusers - held.keys()):
            # not banned: the name is somebody else's, who may need it
            desired = turned_away(desired, refused, state=Standing.ABSENT)
            wanted = _compiled(desired)[0]
        taking, giving = changes(wanted, present, desired.subjects, whole=desired.only is None)
        named = {each.principal.username for each in desired.subjects}
        noted = {name: each for name, each in held.items() if name in named}
        texts = _wanted_passwords(desired, wanted)
        passwords = password_steps(texts, noted)
        kept = {name: held.get(name, "") for name in texts}  # of one that goes the rules tell no more
        changed = {change.name for change in (*taking, *giving)}
        return (
            *(step_of(change, kept.get(change.name, "")) for change in taking),
            *(with_rules(step, wanted, changed=changed) for step in passwords if step.kind == TAKE),
            *(step_of(change, kept.get(change.name, "")) for change in giving),
            *(with_rules(step, wanted) for step in passwords if step.kind == SET),
            *(taken(name, why) for name, why in sorted(refused.items())),
        )

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses which filters; with what is odd of its version."""
        found = effect(read_held(applied.artifact).rules, self._compile(desired)[0])
        return replace(found, warnings=(*found.warnings, *filter(None, [version_note(applied.version)])))

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Makes one change after another, and then sets passwords; the sessions of who loses something end with it.

        One that is refused keeps no other from being made. Raises RequestRefused, PasswordsNotAsked.
        """
        passwords = [step for step in steps if step.kind == SET]
        with self._api() as broker, Refusals() as refusals:
            for step in paced([step for step in steps if step.kind != SET], between, every=_BATCH):
                with refusals.aside():
                    make(broker, step)
            if passwords:
                check_authenticator(broker)
            for start in range(0, len(passwords), _BATCH):
                between()
                with refusals.aside():
                    set_passwords(broker, passwords[start : start + _BATCH])

    def disconnect(self, principal: Principal) -> int:
        """Closes every session of the username, and of the client id."""
        with self._api() as broker:
            return end(broker, username=principal.username, client_id=principal.client_id)

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether EMQX would let it pass."""
        return emqx_rules_emulator.emulate(read_held(rendering.artifact).rules, principal, request)

    def publish_crl(self, pem: str, *, trust: str) -> str:
        """Nothing: EMQX fetches CRLs from where certificates say."""
        del pem, trust
        return ""

    def present(self) -> Sequence[BrokerEvent]:
        """Every connection there is now."""
        with self._api() as broker:
            return [_connected(row) for row in every(broker, "clients", conn_state="connected")]

    def watch(self, stop: Event) -> Iterator[BrokerEvent | None]:
        """Nothing but the time to ask who is present: EMQX tells of events by webhook."""
        while not stop.is_set():
            yield None
            stop.wait(_PAUSE_SECONDS)

    def _api(self) -> JsonApi:
        return JsonApi(
            of="EMQX",
            host=self._connection.host,
            port=self._connection.port,
            root="/api/v5",
            rights=_RIGHTS,
            ca_pem=self._connection.ca_pem,
            username=self._connection.api_key,
            password=self._connection.api_secret,
        )


def _compiled(desired: DesiredState) -> tuple[EmqxRules, Rendering]:
    rendering = emqx_rules.render(desired.subjects)
    rules = parse(rendering.artifact)
    return rules, replace(rendering, passwords=fingerprints(_wanted_passwords(desired, rules)))


def _superusers(desired: DesiredState, superusers: Collection[str]) -> dict[str, str]:
    """Who is to be admitted by the name of one of these, and sentences that say what is wrong with it."""
    admitted = {each.principal.auth_id for each in desired.subjects if each.state is Standing.ADMITTED}
    return {
        name: f"EMQX has a superuser {name!r}, whom no rule binds: whoever logs in as it with a password may do "
        "everything. Delete the user, or take is_superuser away."
        for name in admitted.intersection(superusers)
    }


def _wanted_passwords(desired: DesiredState, rules: EmqxRules) -> dict[str, str]:
    """The text for each who has a password, and rules by its username."""
    return {name: text for name, text in texts_in(desired, spell_password).items() if name in rules.users}


def _check_sources(broker: JsonApi) -> None:
    """Raises RulesNotAsked."""
    if (other := passing_by(broker.get("authorization", "sources")["sources"])) is not None:
        raise RulesNotAsked(
            f"EMQX asks {other} before the rules that Gatehouse writes, and what that allows is allowed: let "
            "built_in_database be the first source of its authorization (docs/howto/emqx.md)."
        )


def _rules(broker: JsonApi, whose: str, only: frozenset[str] | None) -> Iterable[Any]:
    """The rules of `users` or `clients`, of all or of these; a device's client id is its name."""
    if only is None:
        return every(broker, f"{RULES}/{whose}")
    found = (broker.ask("GET", f"{RULES}/{whose}/{path(name)}") for name in sorted(only))
    return [row for row in found if row is not None]


def _bans(broker: JsonApi, only: frozenset[str] | None) -> list[Any]:
    """Bans of usernames, of all or of these."""
    narrowed = [{}] if only is None else [{"username": name} for name in sorted(only)]
    found = (row for each in narrowed for row in every(broker, "banned", **each))
    return [row for row in found if row["as"] == "username" and (only is None or row["who"] in only)]


def _connected(row: Mapping[str, Any]) -> BrokerEvent:
    return BrokerEvent(
        at=datetime.fromisoformat(row["connected_at"]),
        kind=AccessKind.CONNECTED,
        auth_id=str(row.get("username") or ""),
        client_id=str(row["clientid"]),
        address=f"{row['ip_address']}:{row['port']}",
        connection_id=connection_id(row["ip_address"], row["port"]),
    )
