"""Templates of names: `${name}` stands for a variable, `$$` for a dollar sign."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from string import Template

from kernel.core.errors import Invalid


class MissingVariable(Invalid):
    """The profile's template asks for something that was not given."""

    code = "profile-variable"


def is_template(text: str) -> bool:
    """Whether every dollar sign of the text means something."""
    return Template(text).is_valid()


def placeholders(text: str) -> frozenset[str]:
    """The names of the variables that the template asks for."""
    return frozenset(Template(text).get_identifiers())


def fill(text: str, variables: Mapping[str, str], *, profile: str) -> str:
    """The template with its variables in place. Raises MissingVariable, which names the profile."""
    pieces, names = _parsed(text)
    if not names:
        return pieces[0]
    try:
        values = [variables[name] for name in names]
    except KeyError as error:
        raise MissingVariable(f"The profile {profile} needs a value for ${{{error.args[0]}}}.") from error
    return pieces[0] + "".join(value + piece for value, piece in zip(values, pieces[1:], strict=True))


@lru_cache(maxsize=1024)
def _parsed(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The literal pieces, and the names between them: one piece more than names."""
    pieces, names, end = [""], [], 0
    for match in Template.pattern.finditer(text):
        pieces[-1] += text[end : match.start()]
        end = match.end()
        if name := match["named"] or match["braced"]:
            names.append(name)
            pieces.append("")
        else:
            pieces[-1] += "$"
    pieces[-1] += text[end:]
    return tuple(pieces), tuple(names)
