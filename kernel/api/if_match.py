"""If-Match and ETag (RFC 9110 13.1.1, 8.8.3): the version of a thing as its caller read it."""

from __future__ import annotations

import re

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from kernel.core.errors import Unconditional

_VERSION = re.compile(r'"(\d{1,9})"')
_DIGEST = re.compile(r'"([0-9a-f]{64})"')


def if_match_on(thing: str, *, required: bool = False) -> OpenApiParameter:
    """The header as the schema tells of it. `required`: without it the answer is 428."""
    told = f"The ETag of the {thing} as it was read."
    return OpenApiParameter(name="If-Match", location="header", description=told, required=required)


def expected_version(request: Request) -> int | None:
    """The version that If-Match asks for: None for any, -1, which nothing has, for a tag that is not ours."""
    tag = _wanted(request, _VERSION)
    return None if tag is None else int(tag or -1)


def expected_digest(request: Request) -> str | None:
    """The digest that If-Match asks for: None for any, empty, which nothing has, for a tag that is not ours."""
    return _wanted(request, _DIGEST)


def required_version(request: Request) -> int | None:
    """`expected_version` for what is replaced by those alone who have read it. Raises Unconditional without header."""
    _require(request)
    return expected_version(request)


def required_digest(request: Request) -> str | None:
    """`expected_digest` for the same. Raises Unconditional without the header."""
    _require(request)
    return expected_digest(request)


def _require(request: Request) -> None:
    if "If-Match" not in request.headers:
        raise Unconditional("Say which state you change: send If-Match with the ETag as you read it, or * for any.")


def _wanted(request: Request, ours: re.Pattern[str]) -> str | None:
    wanted = request.headers.get("If-Match", "*").strip()
    if wanted == "*":
        return None
    tag = ours.fullmatch(wanted)
    return tag[1] if tag else ""


def tag_of(version: int | str) -> dict[str, str]:
    """The header that tells the version, or the digest."""
    return {"ETag": f'"{version}"'}
