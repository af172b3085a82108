"""Values of placeholders as the database sees them: the same text that `acl.core.templates.value_of` gives."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, Exists, Expression, F, Func, OuterRef, Q, Subquery, TextField, Value, When
from django.db.models.fields import BooleanField
from django.db.models.functions import Coalesce, Concat
from django.db.models.lookups import Exact

from acl.core.analysis_conditions import Parts, Safe, Same
from devices.core.values import CredentialState
from devices.models import Credential

Statement = tuple[str, tuple[Any, ...]]
_UNSAFE = "/+#\x01-\x1f\x7f-\x9f"  # the inside of a bracket expression
_COLUMNS = {
    "client_id": "client_id",
    "auth_id": "auth_id",
    "username": "auth_id",
    "domain": "domain__slug",
    "device_type": "device_type__name",
}


class _AttributeText(Func):
    """An attribute as Python's `str` says it, truth values in lower case; empty if it is missing."""

    output_field = TextField()

    def __init__(self, name: str) -> None:
        super().__init__(F("attributes"))
        self.name = name

    def as_sqlite(self, compiler: Any, *_: Any, **__: Any) -> Statement:
        """JSON as it was written is what `str` says of a number."""
        column, params = compiler.compile(self.source_expressions[0])
        path = f'$."{self.name}"'
        statement = (
            f"CASE json_type({column}, %s) WHEN 'text' THEN json_extract({column}, %s) WHEN 'null' THEN 'None'"
            f" ELSE COALESCE({column} -> %s, '') END"
        )
        return statement, (*params, path, *params, path, *params, path)

    def as_postgresql(self, compiler: Any, *_: Any, **__: Any) -> Statement:
        """jsonb keeps small numbers in full, where `str` says 1e-05 as double precision does."""
        column, params = compiler.compile(self.source_expressions[0])
        statement = (
            f"CASE jsonb_typeof({column} -> %s::text) WHEN 'number' THEN"
            f" CASE WHEN ({column} ->> %s::text)::numeric <> 0"
            f" AND abs(({column} ->> %s::text)::numeric) < 0.0001 THEN ({column} ->> %s::text)::float8::text"
            f" ELSE {column} ->> %s::text END WHEN 'null' THEN 'None' ELSE COALESCE({column} ->> %s::text, '') END"
        )
        return statement, (*params, self.name) * 6


class _UuidText(Func):
    """A UUID as text with hyphens."""

    output_field = TextField()

    def as_sqlite(self, compiler: Any, *_: Any, **__: Any) -> Statement:
        """It is stored as 32 hex digits."""
        column, params = compiler.compile(self.source_expressions[0])
        pieces = " || '-' || ".join(f"substr({column}, {at}, {size})" for at, size in _UUID_PIECES)
        return f"({pieces})", (*params,) * len(_UUID_PIECES)

    def as_postgresql(self, compiler: Any, *_: Any, **__: Any) -> Statement:
        """It is a type of its own."""
        column, params = compiler.compile(self.source_expressions[0])
        return f"{column}::text", (*params,)


_UUID_PIECES = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))


class _IsSafe(Func):
    """Whether a text may stand in a topic; `leads` where it begins one."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, text: Any, *, leads: bool) -> None:
        super().__init__(text)
        self.leads = leads

    def as_sqlite(self, compiler: Any, *_: Any, **__: Any) -> Statement:
        """GLOB compares code points, and ends at NUL."""
        text, params = compiler.compile(self.source_expressions[0])
        tests = [f"{text} <> ''", f"NOT ({text} GLOB %s)", f"instr({text}, char(0)) = 0"]
        given = [*params, *params, f"*[{_UNSAFE}]*", *params]
        if self.leads:
            tests.append(f"NOT ({text} GLOB %s)")
            given += [*params, "$*"]
        return f"({' AND '.join(tests)})", tuple(given)

    def as_postgresql(self, compiler: Any, *_: Any, **__: Any) -> Statement:
        """One regular expression; a text has no NUL there."""
        text, params = compiler.compile(self.source_expressions[0])
        first = f"[^${_UNSAFE}]" if self.leads else f"[^{_UNSAFE}]"
        return f"({text} ~ %s)", (*params, f"^{first}[^{_UNSAFE}]*$")


def same_text(condition: Same) -> Q:
    """That the two levels are the same text for a device."""
    return Q(Exact(_text(condition.left), _text(condition.right)))


def is_safe(condition: Safe) -> Q:
    """That a device has a safe value for the placeholder."""
    return Q(_IsSafe(_value(condition.placeholder), leads=condition.leads))


def _text(parts: Parts) -> Any:
    texts = [Value(part, output_field=TextField()) if isinstance(part, str) else _value(part[0]) for part in parts]
    return texts[0] if len(texts) == 1 else Concat(*texts, output_field=TextField())


def _value(placeholder: str) -> Any:
    kind, _, name = placeholder.partition(".")
    if kind == "attr":
        return _AttributeText(name)
    if kind == "cert":
        return _certificate_value(name)
    return F(_COLUMNS[placeholder])


def _certificate_value(name: str) -> Any:
    """A field of the newest active certificate, as `subjects` gives it to templates."""
    live = Credential.objects.filter(device_id=OuterRef("pk"), state=CredentialState.ACTIVE).order_by()
    fields: dict[str, Expression | F] = {
        "cn": F("auth_id"),
        "san_uri": Concat(
            Value("urn:gatehouse:"), F("domain__slug"), Value(":device:"), _UuidText(F("id")), output_field=TextField()
        ),
    }
    if name == "serial":
        newest = live.order_by("-id").values("certificate__serial")[:1]
        return Coalesce(Subquery(newest), Value(""), output_field=TextField())
    if name not in fields:
        return Value("", output_field=TextField())
    return Case(When(Exists(live), then=fields[name]), default=Value(""), output_field=TextField())
