"""Every endpoint of the API, from the URL configuration: a new one is covered without anyone remembering."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("get", "post", "put", "patch", "delete")
_KWARG = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One path with its view."""

    route: str
    view: Any

    @property
    def methods(self) -> list[str]:
        """The methods that the view answers, in upper case."""
        return [method.upper() for method in METHODS if hasattr(self.view, method)]

    @property
    def scopes(self) -> Mapping[str, str]:
        """The scope that each method needs."""
        found: Mapping[str, str] = getattr(self.view, "scopes", {})
        return found

    @property
    def kwargs(self) -> list[str]:
        """The variable parts of the path."""
        return _KWARG.findall(self.route)

    @property
    def template(self) -> str:
        """The path as the schema has it."""
        return _KWARG.sub(r"{\1}", self.route)

    def path(self, values: Mapping[str, str]) -> str:
        """The path with its variable parts filled in."""
        return _KWARG.sub(lambda match: values[match[1]], self.route)


def endpoints() -> list[Endpoint]:
    """Every endpoint below /api/v1/ that is a view of the REST framework."""
    return sorted(_walk(get_resolver("console.urls").url_patterns, ""), key=lambda endpoint: endpoint.route)


def _walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[Endpoint]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if route == "" or route.startswith("api/"):
                yield from _walk(pattern.url_patterns, route)
        elif route.startswith("api/v1/") and hasattr(pattern.callback, "cls"):
            yield Endpoint(route="/" + route, view=pattern.callback.cls)
