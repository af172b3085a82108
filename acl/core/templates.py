"""Topic-filter templates: `${client_id}/up/#` and what becomes of it for one principal.

A placeholder without a safe value fails closed both ways: an allow rule is void, a deny rule is widened.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from acl.core.topics import MAX_OCTETS, InvalidTopic, valid_filter
from acl.core.values import Effect, Principal
from kernel.core.errors import Invalid

_SPLIT = re.compile(r"\$\{([^}]*)\}")
_ATTRIBUTE = re.compile(r"attr\.[A-Za-z0-9_-]{1,64}")
_PLAIN = ("client_id", "username", "auth_id", "domain", "device_type")
_CERTIFICATE = ("cert.cn", "cert.serial", "cert.o", "cert.ou", "cert.san_uri", "cert.san_dns")
KNOWN = (*_PLAIN, *_CERTIFICATE, "attr.NAME")

Part = str | tuple[str]  # literal text, or (placeholder,)


class InvalidTemplate(Invalid):
    """The text is no topic-filter template."""

    code = "invalid-topic-template"


class UnknownPlaceholder(InvalidTemplate):
    """The template names a placeholder that does not exist."""

    code = "unknown-placeholder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A parsed template: each level is its text, or the parts of which placeholders are one-tuples.

    `pieces` are the same without levels: text, placeholder, text, …, text.
    """

    text: str
    pieces: tuple[str, ...]
    levels: tuple[str | tuple[Part, ...], ...]
    placeholders: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Substituted:
    """A template for one principal. `filter` is None where it is void; `why` says what is wrong with which value."""

    filter: str | None
    why: str = ""


@lru_cache(maxsize=65_536)
def parse(text: str) -> Template:
    """The template that `text` spells. Raises InvalidTemplate, UnknownPlaceholder or InvalidTopic."""
    pieces = _SPLIT.split(text)  # literal, name, literal, name, ..., literal
    names = pieces[1::2]
    for name in names:
        _check_placeholder(name)
    if any("${" in literal for literal in pieces[::2]):
        raise InvalidTemplate("A placeholder has no closing brace: write ${client_id}.")
    valid_filter("x".join(pieces[::2]))
    levels = _levels_of(pieces)
    _check_first_level(levels[0])
    return Template(text=text, pieces=tuple(pieces), levels=levels, placeholders=tuple(dict.fromkeys(names)))


def placeholders(text: str) -> tuple[str, ...]:
    """The names of the placeholders in the template `text`, each once, in order. Raises as `parse` does."""
    return parse(text).placeholders


def substitute(template: Template, principal: Principal, effect: Effect) -> Substituted:
    """The filter that `template` is for `principal`: void or widened, by `effect`, where a value is not safe."""
    filter = filled(template, principal)
    return Substituted(filter=filter) if filter else _judged(template, principal, effect)


def filled(template: Template, principal: Principal) -> str:
    """The filter with its values; empty where only `substitute` can say: one is not safe, or it may be too long."""
    pieces = list(template.pieces)
    if len(pieces) == 1:
        return template.text
    for position in range(1, len(pieces), 2):
        value = value_of(pieces[position], principal)
        if fault_of(value, leads=position == 1 and not pieces[0]):
            return ""
        pieces[position] = value
    filter = "".join(pieces)
    return filter if len(filter) <= MAX_OCTETS // 4 else ""


def _judged(template: Template, principal: Principal, effect: Effect) -> Substituted:
    """What `substitute` says, level by level."""
    levels: list[str] = []
    faults: list[str] = []
    for position, level in enumerate(template.levels):
        if isinstance(level, str):
            levels.append(level)
            continue
        filled, fault = _fill(level, principal, first=position == 0)
        if fault:
            faults.append(fault)
            filled = "#" if position == len(template.levels) - 1 else "+"
        levels.append(filled)
    filter = "/".join(levels)
    if len(filter) > MAX_OCTETS // 4 and len(filter.encode()) > MAX_OCTETS:
        faults.append(f"with its values it is longer than {MAX_OCTETS} octets")
        filter = "/".join(_widened(template))
    if not faults:
        return Substituted(filter=filter)
    return Substituted(filter=None if effect is Effect.ALLOW else filter, why="; ".join(dict.fromkeys(faults)))


def _check_placeholder(name: str) -> None:
    if name in _PLAIN or name in _CERTIFICATE or _ATTRIBUTE.fullmatch(name):
        return
    raise UnknownPlaceholder(f"There is no placeholder ${{{name[:64]}}}: use one of {', '.join(KNOWN)}.")


def _levels_of(pieces: list[str]) -> tuple[str | tuple[Part, ...], ...]:
    levels: list[list[Part]] = [[]]
    for index, piece in enumerate(pieces):
        if index % 2:
            levels[-1].append((piece,))
            continue
        first, *following = piece.split("/")
        levels[-1].append(first)
        levels.extend([text] for text in following)
    return tuple(_level_of(parts) for parts in levels)


def _level_of(parts: list[Part]) -> str | tuple[Part, ...]:
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]
    return tuple(part for part in parts if part)


def _check_first_level(level: str | tuple[Part, ...]) -> None:
    if level == "$share":
        raise InvalidTopic("A rule names no $share: write the filter behind it, and set `shared` to only.")
    if not isinstance(level, str) and isinstance(level[0], str) and level[0].startswith("$"):
        raise InvalidTemplate("A first level that begins with $ has to be spelled out: take the placeholder out of it.")


def _fill(level: tuple[Part, ...], principal: Principal, *, first: bool) -> tuple[str, str]:
    """The level's text, and what is wrong with it or nothing."""
    text = ""
    for part in level:
        if isinstance(part, str):
            text += part
            continue
        value = value_of(part[0], principal)
        fault = fault_of(value, leads=first and not text)
        if fault:
            return "", f"${{{part[0]}}} {fault}"
        text += value
    return text, ""


def value_of(placeholder: str, principal: Principal) -> str:
    """The text that stands for the placeholder; empty where the principal has no value."""
    kind, _, name = placeholder.partition(".")
    if kind == "attr":
        value = principal.attributes.get(name, "")
        return str(value).lower() if isinstance(value, bool) else str(value)
    if kind == "cert":
        return str(getattr(principal.certificate, name)) if principal.certificate else ""
    return str(getattr(principal, placeholder))


@lru_cache(maxsize=65_536)
def fault_of(value: str, *, leads: bool) -> str:
    """What makes the value unsafe in a topic, which it begins if it `leads`; empty if nothing does."""
    if not value:
        return "has no value"
    if leads and value.startswith("$"):
        return "begins with $"
    if value.isalnum() and value.isascii():
        return ""
    for character in value:
        if character in "/+#":
            return f"contains {character}"
        if unicodedata.category(character) in {"Cc", "Cs"}:
            return f"contains the character U+{ord(character):04X}"
    return ""


def _widened(template: Template) -> list[str]:
    """The levels of `template` with a wildcard for every placeholder."""
    last = len(template.levels) - 1
    return [
        level if isinstance(level, str) else "#" if position == last else "+"
        for position, level in enumerate(template.levels)
    ]
