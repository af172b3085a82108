"""Values of placeholders as the database sees them: the same text that `acl.core.templates.value_of` gives."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, F, Func, OuterRef, Q, Subquery, TextField, Value, When
from django.db.models.fields import BooleanField
from django.db.models.functions import Coalesce, Concat
from django.db.models.lookups import Exact

from acl.core.analysis_conditions import Parts, Safe, Same
from devices.core.values import CredentialState
from devices.models import Credential
from pki.core.values import CertificateState

Statement = tuple[str, tuple[Any, ...]]
_UNSAFE = "/+#\x01-\x1f\x7f-\x9f"  # the inside of a bracket expression
_COLUMNS = {
    "client_id": "client_id",
    "auth_id": "auth_id",
    "username": "auth_id",
    "domain": "domain__slug",
}
CERTIFICATE_NAMES = ("cn", "o", "ou", "san_uri", "san_dns")
"""What is kept of a certificate beside the device; its serial number is pki's."""


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
    if placeholder == "device_type":  # an application has none
        return Coalesce(F("device_type__name"), Value(""), output_field=TextField())
    return F(_COLUMNS[placeholder])


def _certificate_value(name: str) -> Any:
    """A field of the newest active certificate, as `subjects` gives it to templates."""
    column = name if name in CERTIFICATE_NAMES else f"certificate__{name}"
    live = Credential.objects.filter(device_id=OuterRef("pk"), state=CredentialState.ACTIVE).order_by("-id")
    said = Case(When(certificate__state=CertificateState.ISSUED, then=F(column)), default=Value(""))
    return Coalesce(Subquery(live.values(said=said)[:1]), Value(""), output_field=TextField())
