"""The forms of an authentication chain: its steps row by row, what proves a login, and a CONNECT to try."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.http import QueryDict

from brokers.core.auth_chains.chain import AuthChain, AuthStep, CertificatePart, StepKind
from brokers.core.auth_chains.document import MOST_STEPS, read_chain
from brokers.core.decide.decisions import EVERY_METHOD, Identity, Method
from console.views.forms import ConsoleForm
from kernel.core.errors import DomainError, FieldError

_PLAIN = {"autocomplete": "off", "spellcheck": "false"}
_MONO = {**_PLAIN, "class": "form-control mono"}
_WORDS = {Method.CERTIFICATE: "certificate", Method.TOKEN: "token", Method.PASSWORD: "password"}
_ORDERS = (
    EVERY_METHOD,
    (Method.CERTIFICATE,),
    (Method.TOKEN,),
    (Method.PASSWORD,),
    (Method.CERTIFICATE, Method.TOKEN),
    (Method.CERTIFICATE, Method.PASSWORD),
    (Method.TOKEN, Method.PASSWORD),
    (Method.TOKEN, Method.PASSWORD, Method.CERTIFICATE),
)


class StepForm(ConsoleForm):
    """One step. Without a field it is left out."""

    do = forms.ChoiceField(
        label="Step",
        choices=[
            (StepKind.REGEX.value, "has to match"),
            (StepKind.SET.value, "becomes the text"),
            (StepKind.COPY.value, "becomes what is in"),
            (StepKind.CERTIFICATE.value, "becomes, of the certificate,"),
        ],
    )
    field = forms.CharField(
        max_length=32, required=False, widget=forms.TextInput(attrs={**_MONO, "placeholder": "username"})
    )
    value = forms.CharField(
        label="Pattern, text, field or part",
        max_length=512,
        required=False,
        strip=False,
        widget=forms.TextInput(attrs={**_MONO, "placeholder": "CN=(?P<username>[^,]+),O=acme"}),
    )
    optional = forms.BooleanField(label="may fail", required=False, widget=forms.CheckboxInput(attrs={"class": "box"}))

    field_order = ("field", "do", "value", "optional")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.quiet = True  # type: ignore[attr-defined]  # the page says what an empty one means


class MethodsForm(ConsoleForm):
    """What proves a login."""

    methods = forms.ChoiceField(
        label="A login is proved by",
        help_text="The first of which something comes along decides alone.",
    )
    tag = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, present: Sequence[Method], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        orders = dict.fromkeys((tuple(present), *_ORDERS))
        self.fields["methods"].choices = [  # type: ignore[attr-defined]
            (" ".join(order), ", else ".join(_WORDS[method] for method in order)) for order in orders
        ]


class SampleForm(ConsoleForm):
    """A CONNECT to try."""

    username = forms.CharField(required=False, strip=False, max_length=512, widget=forms.TextInput(attrs=_MONO))
    client_id = forms.CharField(
        label="Client id", required=False, strip=False, max_length=512, widget=forms.TextInput(attrs=_MONO)
    )
    device = forms.CharField(
        label="With the certificate of",
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "pump-1"}),
        help_text="A device of the domain, by its auth id; or paste another:",
    )
    certificate = forms.CharField(
        label="Certificate (PEM)",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={**_MONO, "rows": 3}),
    )
    password = forms.CharField(
        label="Password or token",
        required=False,
        strip=False,
        max_length=65_535,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    identity = forms.ChoiceField(
        label="Asked with a secret that says",
        choices=[(Identity.SHOWN.value, "proof is handed over"), (Identity.CERTIFICATE.value, "believe its names")],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.quiet = True  # type: ignore[attr-defined]


class StepForms:
    """The rows of a chain's steps, with an empty one at the end to go on with."""

    def __init__(self, sent: QueryDict | None, steps: Sequence[AuthStep] = ()) -> None:
        if sent is None:
            rows: list[dict[str, Any] | None] = [*map(_row_of, steps), None]
            self.rows = [StepForm(initial=row, prefix=f"step-{n}") for n, row in enumerate(rows)]
        else:
            told = sent.get("rows", "0")
            count = min(int(told[:9]), MOST_STEPS + 1) if told.isascii() and told.isdigit() else 0
            self.rows = [StepForm(sent, prefix=f"step-{n}") for n in range(count)]
            if "more" in sent:
                self.rows.append(StepForm(prefix=f"step-{count}"))

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def is_valid(self) -> bool:
        """Whether every row can be read; errors then stand beside their fields."""
        answers = [row.is_valid() for row in self.rows]
        return all(answers)

    def chain(self, methods: str) -> AuthChain:
        """The chain that the rows spell, with these methods. Raises InvalidAuthChain."""
        return read_chain({"steps": [row.cleaned_data for row in self._filled()], "methods": methods.split()})

    def tell(self, error: DomainError, form: ConsoleForm) -> None:
        """Puts each fault beside its field; what is about no step stands above all of them."""
        others = self._add(error.errors)
        if others or not error.errors:
            form.add_fault(type(error)(error.detail, errors=tuple(others)))

    def _filled(self) -> list[StepForm]:
        return [row for row in self.rows if row.cleaned_data.get("field")]

    def _add(self, faults: Iterable[FieldError]) -> list[FieldError]:
        filled, others = self._filled(), []
        for fault in faults:
            number, _, name = fault.pointer.removeprefix("/steps/").partition("/")
            if number.isdigit() and int(number) < len(filled) and name in filled[int(number)].fields:
                filled[int(number)].add_error(name, fault.detail)
            else:
                others.append(fault)
        return others


def parts() -> str:
    """What can be had of a certificate, in words for the page."""
    return ", ".join(CertificatePart)


def _row_of(step: AuthStep) -> dict[str, Any]:
    return {"do": step.do.value, "field": step.field, "value": step.value, "optional": step.optional}
