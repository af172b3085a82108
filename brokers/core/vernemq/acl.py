"""Policy for VerneMQ's file `vmq.acl`: a block of `topic` lines for each user.

A `pattern` line, which takes `%c`, `%u` and `%m`, holds for every user of the broker, the barred and the unknown
included, so none is written. A line knows neither QoS nor retain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from acl.core.values import EVERY_QOS
from brokers.core.ports import Capabilities, DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.rendering import Deviations
from brokers.core.vernemq import policy
from kernel.core.errors import Invalid

_BLANKS = " \t"
_WAYS = 6  # three QoS, retained or not
CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1", "5"),
    version="2.2",
    limits=tuple((limit.kind, limit.why) for limit in policy.LIMITS),
)


class InvalidVernemqAcl(Invalid):
    """The text is no `vmq.acl` file: VerneMQ would stop reading it."""

    code = "invalid-vernemq-acl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What lines allow: filters to subscribe to (`read`) and to publish to (`write`)."""

    read: frozenset[str] = frozenset()
    write: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AclFile:
    """Lines for everybody, patterns for every user, and lines by user."""

    everybody: Access = Access()
    patterns: Access = Access()
    users: Mapping[str, Access] = field(default_factory=dict)


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The file for these subjects, and what it can not express."""
    deviations = Deviations()
    users = {}
    for subject in subjects:
        if subject.state is Standing.ADMITTED and _has_a_block(subject, deviations):
            users[subject.principal.auth_id] = _access(subject, deviations)
    return Rendering(artifact=to_artifact(AclFile(users=users)), deviations=deviations.all())


def to_artifact(acl: AclFile) -> str:
    """The file: same access, same octets."""
    lines = [*_lines("topic", acl.everybody), *_lines("pattern", acl.patterns)]
    for user in sorted(acl.users):
        lines += ["", f"user {user}", *_lines("topic", acl.users[user])]
    return "# Written by Gatehouse: a change here is lost.\n" + "".join(f"{line}\n" for line in lines)


def parse(artifact: str) -> AclFile:
    """What the file says. Raises InvalidVernemqAcl for a line that VerneMQ does not know."""
    reader = _Reader()
    for number, line in enumerate(artifact.split("\n"), start=1):
        reader.take(line, number)
    return reader.file()


def _has_a_block(subject: RenderSubject, deviations: Deviations) -> bool:
    name = subject.principal.auth_id
    fault = not name or not policy.is_text(name) or name != name.strip(_BLANKS)
    if fault:
        for bound in subject.policy:
            why = "Its name has control characters, or blanks at an end, which a line has not: it gets no block."
            deviations.note(bound, name, DeviationKind.NARROWER, why)
    return not fault


def _access(subject: RenderSubject, deviations: Deviations) -> Access:
    compiler = policy.Compiler(subject, deviations, puts_in=False)
    read, write = set[str](), set[str]()
    for each in compiler.publishing():
        if len(each.ways) < _WAYS:
            compiler.narrower(each.bound, "It is about some QoS alone, or about retained messages or others: left out.")
        elif _fits(each.filter):
            write.add(each.filter)
        else:
            compiler.narrower(each.bound, _UNFIT)
    for each, spelled, qos in compiler.subscribing():
        if qos != EVERY_QOS:
            compiler.narrower(each.bound, "It is about some QoS alone: left out.")
        elif _fits(spelled):
            read.add(spelled)
        else:
            compiler.narrower(each.bound, _UNFIT)
    return Access(read=frozenset(read), write=frozenset(write))


_UNFIT = "It has control characters, or blanks at an end, which a line has not: left out."


def _fits(filter: str) -> bool:
    return policy.is_text(filter) and filter == filter.strip(_BLANKS)


def _lines(kind: str, access: Access) -> Iterator[str]:
    for filter in sorted(access.read):
        yield f"{kind} read {filter}"
    for filter in sorted(access.write):
        yield f"{kind} write {filter}"


class _Reader:
    """Takes line by line, as `vmq_acl` does."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[set[str], set[str]]] = {("everybody", ""): (set(), set())}
        self._to = ("everybody", "")

    def take(self, line: str, number: int) -> None:
        """One line without its end; a carriage return before that belongs to it."""
        line = line.removesuffix("\r")
        if not line or line.startswith("#"):
            return
        kind, blank, rest = line.partition(" ")
        if kind == "user" and blank:
            self._to = ("user", rest.strip(_BLANKS))
            self._found.setdefault(self._to, (set(), set()))
        elif kind in {"topic", "pattern"} and blank:
            self._filter(self._to if kind == "topic" else ("pattern", ""), rest)
        else:
            raise InvalidVernemqAcl(f"Line {number} begins with none of topic, pattern, user and #: correct it.")

    def _filter(self, to: tuple[str, str], rest: str) -> None:
        read, write = self._found.setdefault(to, (set(), set()))
        access, blank, filter = rest.partition(" ")
        if access not in {"read", "write"} or not blank:
            access, filter = "", rest
        filter = filter.strip(_BLANKS)
        if access != "write":
            read.add(filter)
        if access != "read":
            write.add(filter)

    def file(self) -> AclFile:
        """All that was taken."""
        found = {to: Access(read=frozenset(read), write=frozenset(write)) for to, (read, write) in self._found.items()}
        return AclFile(
            everybody=found["everybody", ""],
            patterns=found.get(("pattern", ""), Access()),
            users={name: access for (kind, name), access in found.items() if kind == "user"},
        )
