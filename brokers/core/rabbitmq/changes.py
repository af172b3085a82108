"""From what RabbitMQ holds of ours to what it should hold, as requests to its management API.

A connection remembers what it was allowed, for as long as it is busy: whoever loses something has to be disconnected
behind it. The requests may end at any of them, and what is left has to be seen in what RabbitMQ holds then. So whoever
loses is kept out meanwhile: an account without its permission for the virtual host gets it back behind a disconnection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from brokers.core.api_path import path
from brokers.core.ports import RenderSubject
from brokers.core.rabbitmq.api_call import ApiCall, delete
from brokers.core.rabbitmq.document import Key, Row, printed, rows_in
from brokers.core.rabbitmq.filters import flow_of, texts_of
from brokers.core.rabbitmq.patterns import NEVER
from brokers.core.rabbitmq.state import EXCHANGE, RabbitState
from brokers.core.rabbitmq.subscriptions import endings

_HASHING = "rabbit_password_hashing_sha256"
_NOTHING: Mapping[str, str] = {}


def changes(
    wanted: str,
    present: str,
    *,
    state: RabbitState,
    subjects: Collection[RenderSubject],
    passwords: Mapping[str, str] = _NOTHING,
) -> list[ApiCall]:
    """What to ask RabbitMQ for: accounts that go, then those that lose something, then all others.

    `state` is what `wanted` spells, of these subjects. `passwords` are the hashes of those who have one; all others can
    not log in with any. A topic permission for an exchange that policy says nothing of only takes away: it stays.
    """
    new, old = rows_in(wanted), rows_in(present)
    new |= {
        ("users", name): {**new["users", name], "password_hash": printed(text)}
        for name, text in passwords.items()
        if ("users", name) in new
    }
    held, kept = _by_account(old), _by_account(new)
    ends: dict[str, list[ApiCall]] = defaultdict(list)
    for call in endings((row for key, row in sorted(old.items()) if key[0] == "subscriptions"), state, subjects):
        ends[call.target].append(call)
    calls = [delete("user", name, "users", name) for name in sorted(held.keys() - kept.keys())]
    calls += [call for name in sorted(ends.keys() - kept.keys()) for call in ends[name]]
    accounts = [_Account(name, state.vhost, kept[name], held.get(name, {}), ends[name]) for name in sorted(kept)]
    losing = {account.name for account in accounts if account.loses}
    for account in sorted(accounts, key=lambda account: account.name not in losing):
        calls += account.calls(passwords, loses=account.name in losing)
    return calls


@dataclass(frozen=True, slots=True)
class _Account:
    """One account that is wanted: the rows that are wanted, those that are there, and what ends its subscriptions."""

    name: str
    vhost: str
    new: Mapping[Key, Row]
    old: Mapping[Key, Row]
    ends: Sequence[ApiCall]

    @property
    def loses(self) -> bool:
        """Whether a connection of the account may be open that remembers more than it shall."""
        if ("users", self.name) not in self.old:
            return False
        if self._stray():
            return True
        if self._entry not in self.old:  # nobody gets in now, and somebody may be in from before
            return self._entry in self.new or bool(self._changed("topic_permissions"))
        key = ("topic_permissions", self.vhost, self.name, EXCHANGE)
        topics = self.old.get(key)  # without any everything is allowed
        grows = topics is not None and all(_grows(topics[way], self.new[key][way]) for way in ("write", "read"))
        return not grows or not _adds(self.old[self._entry], self.new[self._entry])

    def calls(self, passwords: Mapping[str, str], *, loses: bool) -> Iterator[ApiCall]:
        """What makes the account what it shall be.

        Of who loses, what is changed last is what tells that it was disconnected: the permission for the virtual host,
        or, where it gets none, those for topics.
        """
        admitted = self._entry in self.new
        if admitted and loses and self._entry in self.old:
            yield delete("entry", self.name, *self._entry)
        for key in self._stray():
            yield delete("permission", self.name, *key)
        closing = [delete("connection", self.name, "connections", "username", self.name)] if loses else []
        yield from [] if admitted else closing
        for key in self._changed("users") + self._changed("topic_permissions"):
            yield _put(key, self.new[key], passwords)
        yield from closing if admitted else []
        yield from self.ends
        if admitted and (loses or self._changed("permissions")):
            yield _put(self._entry, self.new[self._entry], passwords)

    @property
    def _entry(self) -> Key:
        """What lets the account into the virtual host."""
        return ("permissions", self.vhost, self.name)

    def _stray(self) -> list[Key]:
        """The permissions, in any virtual host, that are not wanted."""
        return sorted(key for key in self.old if key[0] == "permissions" and key not in self.new)

    def _changed(self, section: str) -> list[Key]:
        return sorted(key for key, row in self.new.items() if key[0] == section and self.old.get(key) != row)


def _by_account(rows: Mapping[Key, Row]) -> dict[str, dict[Key, Row]]:
    """The rows of each account; those without an account, and subscriptions, are nobody's."""
    found: dict[str, dict[Key, Row]] = {key[1]: {} for key in rows if key[0] == "users"}
    for key, row in rows.items():
        name = key[1] if key[0] == "users" else key[2]
        if key[0] != "subscriptions" and name in found:
            found[name][key] = row
    return found


@lru_cache(maxsize=1024)  # of a role all have the same
def _grows(old: str, new: str) -> bool:
    """Whether the new expression allows all that the old one does, as far as can be told."""
    if old == new:
        return True
    before, after = (flow_of(pattern, username="{username}") for pattern in (old, new))
    if before is None or after is None:
        return False
    return before.allows <= after.allows and after.denies <= before.denies


def _adds(old: Row, new: Row) -> bool:
    """Whether the new permission is about all that the old one is about, as far as can be told."""
    return all(
        old[way] in (new[way], NEVER) or set(texts_of(old[way]) or (old[way],)) <= set(texts_of(new[way]) or ())
        for way in ("configure", "write", "read")
    )


def _put(key: Key, row: Row, passwords: Mapping[str, str]) -> ApiCall:
    if key[0] == "users":
        text = passwords.get(key[1], "")
        body = {
            "password_hash": text,
            "tags": ",".join(row["tags"]),
            **({"hashing_algorithm": _HASHING} if text else {}),
        }
        summary = f"The account {key[1]}, which {'has a password' if text else 'can not log in with a password'}."
        return ApiCall(method="PUT", path=path(*key), kind="set-user", target=key[1], summary=summary, body=body)
    body = {name: row[name] for name in ("exchange", "configure", "write", "read") if name in row}
    where, target = path(key[0].replace("_", "-"), *key[1:3]), key[2]
    if key[0] == "permissions":
        kind, summary = "set-permission", f"Which queues and exchanges {target} may use."
    else:
        kind, summary = "set-topics", f"What {target} may publish and subscribe to over {row['exchange']}."
    return ApiCall(method="PUT", path=where, kind=kind, target=target, summary=summary, body=body)
