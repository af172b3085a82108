"""Names of devices and slugs of domains: what may stand in a certificate, a client id and a topic."""

from __future__ import annotations

import re
import unicodedata

from kernel.core.errors import FieldError, Invalid

MAX_NAME = 64
_FORBIDDEN = "+#/"
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
"""Unicode's controls, invisible marks, surrogates, what is unassigned, and ends of lines and paragraphs."""
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class BadName(Invalid):
    """The name can not be used."""

    code = "bad-name"


def check_name(name: str, *, pointer: str = "/name") -> str:
    """The name, if it has 1 to 64 characters (RFC 5280 A.1, ub-common-name) and none that is unsafe in a topic."""
    if fault := name_fault(name):
        error = FieldError(pointer=pointer, code="bad-name", detail=fault)
        raise BadName(f"The name {fault}.", errors=(error,))
    return name


def name_fault(name: str) -> str | None:
    """What is wrong with a device's name, as the end of a sentence; None if nothing is."""
    if not 1 <= len(name) <= MAX_NAME:
        return f"has {len(name)} characters; give it 1 to {MAX_NAME}"
    if bad := sorted({char for char in name if char in _FORBIDDEN}):
        return f"has {' '.join(bad)}, which topics reserve; leave it out"
    if any(unicodedata.category(char) in _UNSEEN for char in name):
        return "has a control character, or one that can not be seen; leave it out"
    if name.startswith("$") or name in {".", ".."}:
        return "begins with $, which topics reserve, or is . or .., which paths do; begin with a letter or digit"
    if name != name.strip():
        return "begins or ends with a blank; remove it"
    return None


def check_slug(slug: str, *, pointer: str = "/slug") -> str:
    """The slug, if it has 1 to 63 lower-case letters, digits and inner hyphens."""
    if not _SLUG.fullmatch(slug):
        detail = "has to have 1 to 63 lower-case letters, digits and inner hyphens"
        raise BadName(f"The slug {detail}.", errors=(FieldError(pointer=pointer, code="bad-name", detail=detail),))
    return slug
