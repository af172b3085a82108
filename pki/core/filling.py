"""Filling a profile's templates: the subject and the alternative names of one certificate."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from cryptography import x509

from pki.core.names import MAKERS, BadName, hardware_module, subject_attribute
from pki.core.profile import NameKind, NamePart, Profile, Requestable
from pki.core.templates import fill, placeholders

_KINDS = {NameKind.DNS: "DNS name", NameKind.IP: "IP address", NameKind.EMAIL: "e-mail address", NameKind.URI: "URI"}

RESERVED = "urn:gatehouse:"
"""How the names begin that say who a holder is here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedNames:
    """The alternative names that a request asks for."""

    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    email: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()

    def of(self, kind: NameKind) -> tuple[str, ...]:
        """Those of a kind."""
        found: tuple[str, ...] = getattr(self, kind.value)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the subject is called: the profile's variables, and the names that it lets one choose.

    `asked` are a request's own: they count if no other is given, and only those of the kinds that the profile takes.
    """

    variables: Mapping[str, str]
    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    email: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    asked: AskedNames | None = None


def subject_of(profile: Profile, variables: Mapping[str, str]) -> x509.Name:
    """The subject. Raises BadName, MissingVariable."""
    return x509.Name(
        [
            subject_attribute(part.attribute, fill(part.value, variables, profile=profile.name))
            for part in profile.subject_parts
        ]
    )


def alternative_names_of(profile: Profile, names: Names) -> list[x509.GeneralName]:
    """The alternative names: the profile's own, then those chosen. Raises BadName, MissingVariable."""
    own = [_own_name(profile, part, names.variables) for part in profile.alternative_names]
    chosen = [*_chosen_names(profile, names)]
    if profile.needs_requested and not chosen:
        kinds = " or ".join(_KINDS[asked.kind] for asked in profile.requestable)
        raise BadName(f"The profile {profile.name} needs at least one {kinds}.")
    return [*dict.fromkeys((*own, *chosen))]


def _own_name(profile: Profile, part: NamePart, variables: Mapping[str, str]) -> x509.GeneralName:
    if part.kind is NameKind.URI:
        variables = {name: quote(variables[name], safe="") for name in placeholders(part.value) if name in variables}
    value = fill(part.value, variables, profile=profile.name)
    if part.kind is NameKind.HARDWARE_MODULE:
        return hardware_module(fill(part.hardware_type, variables, profile=profile.name), value)
    if part.kind is NameKind.DNS and "*" in value and "*" not in part.value:
        raise BadName(f"{value[:80]!r} would name every host there: a variable has no asterisk.")
    return MAKERS[part.kind](value)


def _chosen_names(profile: Profile, names: Names) -> Iterator[x509.GeneralName]:
    given = AskedNames(dns=names.dns, ip=names.ip, email=names.email, uri=names.uri)
    taken = {asked.kind: asked for asked in profile.requestable}
    if is_requests_own := given == _NOTHING:
        given = names.asked or _NOTHING
    elif unwanted := [kind for kind in _KINDS if given.of(kind) and kind not in taken]:
        raise BadName(f"The profile {profile.name} takes no {_KINDS[unwanted[0]]}: leave it out.")
    for kind, asked in taken.items():
        for text in given.of(kind):
            if text.lower().startswith(RESERVED):
                raise BadName(f"A name that begins with {RESERVED} is given by the profile, and never asked for.")
            name = MAKERS[kind](text)
            if asked.patterns and is_requests_own and text.startswith("*."):
                raise BadName(_NO_WILDCARD.format(text[:80]))
            if asked.patterns and not any(_fits(asked, each, name, profile, names) for each in asked.patterns):
                raise BadName(f"The profile {profile.name} does not allow the {_KINDS[kind]} {text[:80]!r}.")
            yield name


_NOTHING = AskedNames()
_NO_WILDCARD = (
    "A request does not choose {!r}, which names every host there, by a pattern: leave it out, or let an operator name "
    "it in dns_names."
)


def _fits(asked: Requestable, pattern: str, name: x509.GeneralName, profile: Profile, names: Names) -> bool:
    if asked.kind is NameKind.IP:
        try:
            return name.value in ipaddress.ip_network(fill(pattern, names.variables, profile=profile.name))
        except (ValueError, TypeError):
            return False
    pieces = [fill(piece, names.variables, profile=profile.name) for piece in pattern.split("*")]
    return _stand_in_order([*map(_folded, pieces)], _folded(name.value))


def _folded(text: str) -> str:
    """ASCII in lower case; all else as it is: U+212A in lower case would be the letter k."""
    return text.lower() if text.isascii() else text


def _stand_in_order(pieces: Sequence[str], text: str) -> bool:
    """Whether the text is the pieces with anything between them: no expression, which could take for ever."""
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return text == first
    at, end = len(first), len(text) - len(last)
    if at > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for piece in pieces[1:-1]:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
