"""The form that writes a profile, and the JSON document that says the same. Lists are written a line each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from console.views.forms import ConsoleForm
from kernel.core.errors import DomainError, FieldError
from pki.core.profile import Attribute, BeyondIssuer, KeyFamily, NameKind, Profile
from pki.core.profile_documents import EXTENDED_KEY_USAGE_NAMES, KEY_USAGE_NAMES, profile_document

_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
_MONO = {**_PLAIN, "class": "form-control mono"}
_DOCUMENT_CHARACTERS = 64_000
_LINES = ("subject", "alternative_names", "requestable", "policies", "permitted_names", "excluded_names")
WHOLE_ROWS = ("subject", "alternative_names", "requestable", "needs_requested", "other_usages", "policies", "document")
"""Fields that take the width of the form; others stand in pairs."""

_FLAGS = ("needs_requested", "is_ca", "names_ocsp", "names_issuer", "names_crl", "ocsp_no_check")


def _lines(label: str, help_text: str, rows: int = 2) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        max_length=20_000,
        help_text=help_text,
        widget=forms.Textarea(attrs={**_MONO, "rows": rows}),
    )


def _flag(label: str, help_text: str = "") -> forms.BooleanField:
    box = forms.CheckboxInput(attrs={"class": "box"})
    return forms.BooleanField(label=label, required=False, help_text=help_text, widget=box)


def _some(label: str, values: Iterable[str], help_text: str = "") -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=label, choices=[(value, value) for value in values], required=False, help_text=help_text,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "box"}),
    )  # fmt: skip


class ProfileForm(ConsoleForm):
    """Everything that a profile says. `document` is what the fields spell."""

    name = forms.CharField(
        max_length=32,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "sensor"}),
        help_text="a-z, 0-9 and hyphens. It can not be changed.",
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    description = forms.CharField(max_length=2_000, required=False, widget=forms.TextInput)
    subject = _lines("Subject", f"A line each, such as CN=${{auth_id}}. There are {', '.join(Attribute)}.")
    alternative_names = _lines(
        "Alternative names",
        f"A line each, such as uri=urn:example:${{id}}. There are {', '.join(NameKind)}; "
        "a hardware module is hardware-module 1.3.6.1.4.1.99999.1=${serial}.",
    )
    requestable = _lines(
        "Names that may be asked for", "A line each, such as dns=*.example.net, *.lab or dns= for any.", rows=2
    )
    needs_requested = _flag("One of them has to be asked for")
    validity = forms.ChoiceField(
        label="Valid",
        choices=[("days", "for days"), ("seconds", "for seconds"), ("until", "until"), ("no_expiry", "without an end")],
    )
    validity_value = forms.CharField(
        label="How long", max_length=40, required=False, widget=forms.TextInput(attrs=_PLAIN),
        help_text="Days, seconds, or a moment such as 2036-01-01T00:00:00Z.",
    )  # fmt: skip
    backdate_seconds = forms.IntegerField(
        label="Begins so many seconds earlier", min_value=0, max_value=604_800, initial=300,
        help_text="For devices whose clocks are behind.",
    )  # fmt: skip
    issuer_limits = forms.ChoiceField(
        label="If it would outlive its issuer",
        choices=[
            (BeyondIssuer.CUT.value, "it ends with the issuer"),
            (BeyondIssuer.REFUSE.value, "it is refused"),
            (BeyondIssuer.ALLOW.value, "it is allowed: only without an end"),
        ],
    )
    key_usage = _some("keyUsage (RFC 5280 4.2.1.3)", KEY_USAGE_NAMES)
    extended_key_usage = _some("extKeyUsage (RFC 5280 4.2.1.12)", EXTENDED_KEY_USAGE_NAMES)
    other_usages = forms.CharField(
        label="Other usages", required=False, max_length=2_000, widget=forms.TextInput(attrs=_MONO),
        help_text="Dotted object identifiers, with spaces between.",
    )  # fmt: skip
    key_families = _some("Keys that are accepted", (family.value for family in KeyFamily))
    rsa_bits = forms.IntegerField(label="RSA keys have at least so many bits", initial=2048)
    path_length = forms.IntegerField(
        label="How many CAs may be below one", min_value=0, max_value=255, required=False,
        help_text="Empty for any number. Only of CAs.",
    )  # fmt: skip
    is_ca = _flag("Makes CAs")
    ocsp_no_check = _flag("Nobody asks OCSP about it", "Only of OCSP signers.")
    policies = _lines("Policies", "A line each: an object identifier, and the URL of its practice statement.")
    permitted_names = _lines("Names permitted below", "Of CAs: a line each, such as dns=example.net or ip=10.0.0.0/8.")
    excluded_names = _lines("Names excluded below", "Of CAs, as above.")
    names_ocsp = _flag("Says where OCSP answers")
    names_issuer = _flag("Says where its issuer's certificate is")
    names_crl = _flag("Says where its CRL is")

    def document(self) -> dict[str, Any]:
        """The JSON document that the fields spell; what can not be read is left for the service to refuse."""
        given = self.cleaned_data
        usages = [*given["extended_key_usage"], *given["other_usages"].split()]
        return {
            "description": given["description"],
            "validity": _validity(given["validity"], given["validity_value"]),
            "backdate_seconds": given["backdate_seconds"],
            "issuer_limits": given["issuer_limits"],
            "subject": [dict(zip(("attribute", "value"), _pair(line), strict=True)) for line in self._of("subject")],
            "alternative_names": [_alternative(line) for line in self._of("alternative_names")],
            "requestable": [_requestable(line) for line in self._of("requestable")],
            "key_usage": given["key_usage"],
            "extended_key_usage": usages,
            "path_length": given["path_length"],
            "policies": [_policy(line) for line in self._of("policies")],
            "permitted_names": [_kind_and_value(line) for line in self._of("permitted_names")],
            "excluded_names": [_kind_and_value(line) for line in self._of("excluded_names")],
            "key_families": given["key_families"],
            "rsa_bits": given["rsa_bits"],
            **{name: given[name] for name in _FLAGS},
        }

    def _of(self, name: str) -> list[str]:
        return [line.strip() for line in self.cleaned_data[name].splitlines() if line.strip()]

    def add_fault(self, error: DomainError) -> None:
        """Puts each fault beside the field of its member, with the line that it is about."""
        placed = False
        for fault in error.errors:
            name, words = _place(fault)
            if name in self.fields:
                self.add_error(name, words)
                placed = True
        if not placed:
            self.add_error(None, error.detail)


def _place(fault: FieldError) -> tuple[str, str]:
    name, *rest = fault.pointer.strip("/").split("/")
    if name == "validity":
        return "validity_value", fault.detail
    line = f"Line {int(rest[0]) + 1}: " if rest and rest[0].isdigit() and name in _LINES else ""
    return name, line + fault.detail


def _validity(kind: str, value: str) -> dict[str, Any]:
    if kind == "no_expiry":
        return {"no_expiry": True}
    return {kind: int(value) if kind != "until" and re.fullmatch(r"\d{1,12}", value.strip()) else value.strip()}


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.strip(), value.strip()


def _kind_and_value(line: str) -> dict[str, str]:
    return dict(zip(("kind", "value"), _pair(line), strict=True))


def _alternative(line: str) -> dict[str, str]:
    kind, value = _pair(line)
    kind, _, hardware = kind.partition(" ")
    return {"kind": kind, "value": value, **({"hardware_type": hardware.strip()} if hardware else {})}


def _requestable(line: str) -> dict[str, Any]:
    kind, value = _pair(line)
    return {"kind": kind, "patterns": [pattern.strip() for pattern in value.split(",") if pattern.strip()]}


def _policy(line: str) -> dict[str, str]:
    oid, _, cps = line.partition(" ")
    return {"oid": oid, "cps": cps.strip()}


def initial_of(profile: Profile, *, name: str) -> dict[str, Any]:
    """The profile as the form's fields hold it."""
    document = profile_document(profile)
    [(validity, length)] = document["validity"].items()
    known = [usage for usage in document["extended_key_usage"] if usage in EXTENDED_KEY_USAGE_NAMES]
    others = [usage for usage in document["extended_key_usage"] if usage not in EXTENDED_KEY_USAGE_NAMES]
    lines = {
        "subject": [f"{each['attribute']}={each['value']}" for each in document["subject"]],
        "alternative_names": [_alternative_line(each) for each in document["alternative_names"]],
        "requestable": [f"{each['kind']}={', '.join(each['patterns'])}" for each in document["requestable"]],
        "policies": [f"{each['oid']} {each['cps']}".strip() for each in document["policies"]],
        "permitted_names": [f"{each['kind']}={each['value']}" for each in document["permitted_names"]],
        "excluded_names": [f"{each['kind']}={each['value']}" for each in document["excluded_names"]],
    }
    return {
        **document,
        **{member: "\n".join(texts) for member, texts in lines.items()},
        "name": name,
        "version": profile.version,
        "validity": validity,
        "validity_value": "" if validity == "no_expiry" else length,
        "extended_key_usage": known,
        "other_usages": " ".join(others),
    }


def _alternative_line(part: Mapping[str, str]) -> str:
    hardware = f" {part['hardware_type']}" if part.get("hardware_type") else ""
    return f"{part['kind']}{hardware}={part['value']}"


class DocumentForm(ConsoleForm):
    """The same as JSON, for who would rather paste it."""

    name = forms.CharField(max_length=32, widget=forms.TextInput(attrs=_PLAIN))
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    document = forms.CharField(
        label="Document",
        max_length=_DOCUMENT_CHARACTERS,
        strip=False,
        widget=forms.Textarea(attrs={**_MONO, "rows": 28, "wrap": "off"}),
        help_text="What is left out takes its default. validity and key_usage are needed.",
    )

    def clean_document(self) -> Any:
        """The JSON, read."""
        try:
            return json.loads(self.cleaned_data["document"])
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"This is no JSON: {error}.") from error

    def add_fault(self, error: DomainError) -> None:
        """Every fault beside the document, each with its pointer."""
        if not error.errors:
            self.add_error(None, error.detail)
        for fault in error.errors:
            self.add_error("document", f"{fault.pointer or '/'}: {fault.detail}")


def document_text(profile: Profile) -> str:
    """The profile's document as text for people."""
    return json.dumps(profile_document(profile), indent=2, ensure_ascii=False)
