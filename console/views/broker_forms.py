"""The forms of what a broker is registered with; its secrets go in and never come out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms

from brokers.core.connection_changes import SHOWN, ShownConnection
from brokers.core.registration import name_errors
from brokers.core.values import AdapterKind, Broker, Listener, Transport
from brokers.services import BrokerChange
from console.views.broker_kinds import KINDS
from console.views.forms import ConsoleForm
from kernel.core.errors import DomainError

_LISTENER = re.compile(rf"({'|'.join(Transport)})://\[?([^\s\[\]]+?)\]?:([0-9]{{1,5}})")
_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none", "class": "form-control mono"}
_MEMBER = "connection/"
_FIXED = "dialect"
_LABELS = {
    "api": "HTTP API",
    "api_key": "API key",
    "api_secret": "API secret",
    "ca_pem": "CA certificates (PEM)",
    "dialect": "Make",
    "directory": "Folder",
    "issuer_seed": "Seed of the issuer's nkey",
    "log": "Access logs",
    "rest": "REST API",
    "vhost": "Virtual host",
}
_HINTS = {
    "account": "The account that devices are in.",
    "api/host": "Without the HTTP API no session can be ended.",
    "files/directory": "Its name below GATEHOUSE_HOME/brokers/, on the same machine or mounted there.",
    "issuer_seed": "It begins with SA.",
    "log/directory": "Its name below GATEHOUSE_HOME/brokers/: where the extension writes its access logs.",
    "rest/host": "Without the REST API no session can be ended.",
    "subject": "How the subjects of devices' certificates are spelled.",
}
_NO_TLS = "Without it there is no TLS, which is for this machine alone."
_KEPT = "Left empty, it stays; it has to be given again where host, port or CA changes."


class RegistrationForm(ConsoleForm):
    """Name, listeners, and a field for each member that the connection to such a broker has."""

    name = forms.CharField(
        label="Name", max_length=63, widget=forms.TextInput(attrs=_PLAIN),
        help_text="Lower-case letters, digits and inner hyphens. No other broker of any domain has it.",
    )  # fmt: skip
    listeners = forms.CharField(
        label="Listeners", required=False, max_length=10_000, widget=forms.Textarea(attrs={**_PLAIN, "rows": 3}),
        help_text="Where devices reach it, one on a line, such as mqtts://mq.example:8883 or wss://mq.example:443.",
    )  # fmt: skip

    def __init__(self, *args: Any, kind: AdapterKind, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kind = KINDS[kind]
        for name, first in self._kind.members.items():
            self.fields[_MEMBER + name] = _field(name, first, is_optional=self._kind.may_lack(name))
        if "host" in self._kind.members:
            self.fields[f"{_MEMBER}host"].help_text = self._kind.where

    def clean_name(self) -> str:
        """The name, if a broker may have it."""
        name: str = self.cleaned_data["name"]
        if wrong := name_errors(name):
            raise forms.ValidationError(wrong[0].detail)
        return name

    def clean_listeners(self) -> list[Listener]:
        """The listeners of the lines."""
        found = []
        for number, line in enumerate(self.cleaned_data["listeners"].split("\n"), 1):
            if not line.strip():
                continue
            spelled = _LISTENER.fullmatch(line.strip())
            if spelled is None:
                raise forms.ValidationError(f"Line {number} is none: write mqtts://host:port or wss://host:port.")
            found.append(Listener(host=spelled[2], port=int(spelled[3]), transport=Transport(spelled[1])))
        return found

    def connection(self) -> dict[str, Any]:
        """What was given of the connection."""
        given: dict[str, Any] = {}
        for name in self._kind.members:
            if (value := self._given(name)) is not None:
                _put(given, name, value)
        return given

    def add_fault(self, error: DomainError) -> None:
        """Puts what a service refused beside the fields that it names, or above all of them."""
        for fault in error.errors:
            name = fault.pointer.strip("/")
            while name and name not in self.fields:
                name = name.rpartition("/")[0]
            self.add_error(name or None, fault.detail)
        if not error.errors:
            self.add_error(None, error.detail)

    def _given(self, name: str) -> Any:
        value = self.cleaned_data[_MEMBER + name]
        return None if value == "" else value if _is_secret(name) else _trimmed(value)


class BrokerForm(RegistrationForm):
    """The same of a broker that there is: what was given stands there, but its secrets."""

    tag = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, broker: Broker, shown: ShownConnection, **kwargs: Any) -> None:
        lines = "\n".join(f"{each.transport}://{each.host}:{each.port}" for each in broker.listeners)
        first = {_MEMBER + name: shown.members.get(name, "") for name in KINDS[broker.kind].members}
        first |= {"tag": broker.tag, "name": broker.name, "listeners": lines}
        super().__init__(*args, kind=broker.kind, initial=first, **kwargs)
        self.fields["name"].help_text = "Links with the old name lead nowhere then; lines of the access log keep it."
        self.fields.pop(_MEMBER + _FIXED, None)
        self._before = shown.members
        for name in shown.secrets:
            self.fields[_MEMBER + name].required = False
            self.fields[_MEMBER + name].help_text = _KEPT

    def change(self) -> BrokerChange:
        """What is to be otherwise: members that were written over, and secrets that were given."""
        given: dict[str, Any] = {}
        names = [name for name in self._kind.members if name != _FIXED]
        for name in names:
            value, before = self._given(name), None if _is_secret(name) else self._before.get(name)
            if value != (_trimmed(before) or None if isinstance(before, str) else before):
                _put(given, name, value)
        for part in {name.rpartition("/")[0] for name in self._before} - {""}:
            if all(self._given(name) is None for name in names if name.startswith(f"{part}/")):
                given[part] = None
        return BrokerChange(
            name=self.cleaned_data["name"], listeners=self.cleaned_data["listeners"], connection=given or None
        )


def _field(name: str, first: Any, *, is_optional: bool) -> forms.Field:
    """Begins with `first`; see `KindForm`."""
    leaf = name.rpartition("/")[2]
    told: dict[str, Any] = {"label": _label(name), "required": not is_optional, "help_text": _HINTS.get(name, "")}
    if isinstance(first, Mapping):
        choices = [(each.value, words) for each, words in first.items()]
        return forms.ChoiceField(choices=choices, widget=forms.Select(attrs={"class": "form-select"}), **told)
    if leaf == "port" or isinstance(first, int):
        return forms.IntegerField(initial=first, widget=forms.NumberInput(attrs=_PLAIN), **told)
    if _is_secret(name):
        hidden = forms.PasswordInput(attrs={**_PLAIN, "autocomplete": "new-password"})
        return forms.CharField(strip=False, max_length=1_024, widget=hidden, **told)
    if leaf == "ca_pem":
        told["help_text"] = _NO_TLS
        return forms.CharField(max_length=200_000, widget=forms.Textarea(attrs={**_PLAIN, "rows": 4}), **told)
    return forms.CharField(initial=first, max_length=1_024, widget=forms.TextInput(attrs=_PLAIN), **told)


def _is_secret(name: str) -> bool:
    return not SHOWN.issuperset(name.split("/"))


def _label(name: str) -> str:
    words = name.removeprefix("files/").split("/")
    *part, leaf = (_LABELS.get(each, each.replace("_", " ").capitalize()) for each in words)
    return ": ".join([*part, leaf])


def _trimmed(value: Any) -> Any:
    """A text as a browser sends it back."""
    return "\n".join(value.strip().splitlines()) if isinstance(value, str) else value


def _put(given: dict[str, Any], name: str, value: object) -> None:
    part, _, leaf = name.rpartition("/")
    inner: Any = given.setdefault(part, {}) if part else given
    inner[leaf] = value
