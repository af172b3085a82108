"""The forms of roles: a name, its rules one by one, and to whom the role is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import QueryDict
from django.urls import reverse

from acl.core.rules import RuleSpec
from acl.core.values import EVERY_QOS, Action, Effect, Retain, Rule, Shared
from console.views.forms import ConsoleForm
from devices.core.values import DeviceId
from devices.core.windows import Window
from kernel.core.errors import DomainError, FieldError

_MOST_ROWS = 500
_LIVE = {
    "hx-trigger": "focus once, input changed delay:250ms",
    "hx-include": "closest fieldset",
    "hx-target": "next .filter-check",
    "hx-sync": "this:replace",
}
_PLAIN = {"autocomplete": "off", "spellcheck": "false"}


def _moment_input() -> forms.DateTimeInput:
    bounds = {"min": "2000-01-02T00:00", "max": "2999-12-30T00:00"}
    return forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1", **bounds}, format="%Y-%m-%dT%H:%M:%S")


class RoleForm(ConsoleForm):
    """What a role is called. `version` is the one that was read."""

    name = forms.CharField(max_length=64, widget=forms.TextInput(attrs=_PLAIN))
    description = forms.CharField(max_length=500, required=False)
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)


class RuleForm(ConsoleForm):
    """One rule. Without a topic it is left out."""

    effect = forms.ChoiceField(choices=[(value.value, value.value) for value in Effect])
    actions = forms.ChoiceField(
        choices=[("publish", "publish"), ("subscribe", "subscribe"), ("publish subscribe", "both")]
    )
    topic = forms.CharField(
        label="Topic filter",
        max_length=1_024,
        required=False,
        strip=False,
        widget=forms.TextInput(
            attrs={**_PLAIN, "class": "form-control mono", "placeholder": "${domain}/${client_id}/up/#"}
        ),
    )
    qos = forms.ChoiceField(
        label="QoS",
        choices=[
            ("0 1 2", "any"),
            ("0", "0"),
            ("0 1", "0, 1"),
            ("0 2", "0, 2"),
            ("1", "1"),
            ("1 2", "1, 2"),
            ("2", "2"),
        ],
    )
    retain = forms.ChoiceField(choices=[(value.value, value.value) for value in Retain])
    shared = forms.ChoiceField(choices=[(value.value, value.value) for value in Shared])
    shared_group = forms.CharField(required=False, strip=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, device: DeviceId | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        topic = self.fields["topic"]
        check = reverse("filter-check") + (f"?device={device}" if device else "")
        live = {"list": f"{self.add_prefix('topic')}-list", "hx-get": check}
        topic.widget.attrs |= _LIVE | live
        self.fields["topic"].quiet = True  # type: ignore[attr-defined]  # the page says what an empty one means

    def spec(self) -> RuleSpec:
        """The rule that the row spells."""
        values = self.cleaned_data
        return RuleSpec(
            effect=Effect(values["effect"]),
            actions=frozenset(Action(word) for word in values["actions"].split()),
            topic=values["topic"],
            qos=frozenset(map(int, values["qos"].split())),
            retain=Retain(values["retain"]),
            shared=Shared(values["shared"]),
            shared_group=values["shared_group"] or None if values["shared"] == Shared.ONLY else None,
        )

    def blank(self) -> bool:
        """Whether the row holds no rule."""
        return not self.cleaned_data.get("topic")


class RuleForms:
    """The rows of a role's rules, or of those of one device alone, with an empty one at the end to go on with."""

    def __init__(
        self, sent: QueryDict | None, rules: Sequence[Rule | RuleSpec] = (), *, device: DeviceId | None = None
    ) -> None:
        self.sent = sent
        if sent is None:
            rows: list[dict[str, str] | None] = [*map(_row_of, rules), None]
            self.rows = [RuleForm(initial=row, prefix=f"rule-{n}", device=device) for n, row in enumerate(rows)]
        else:
            told = sent.get("rows", "0")
            count = min(int(told[:9]), _MOST_ROWS) if told.isascii() and told.isdigit() else 0
            self.rows = [RuleForm(sent, prefix=f"rule-{n}", device=device) for n in range(count)]
            if "more" in sent:
                self.rows.append(RuleForm(prefix=f"rule-{count}", device=device))

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def is_valid(self) -> bool:
        """Whether every row can be read; errors then stand beside their fields."""
        answers = [row.is_valid() for row in self.rows]
        return all(answers)

    def specs(self) -> list[RuleSpec]:
        """The rules that the rows spell."""
        return [row.spec() for row in self.rows if not row.blank()]

    def add_faults(self, faults: Iterable[FieldError]) -> list[FieldError]:
        """Puts those about a rule beside it; the others come back."""
        filled = [row for row in self.rows if not row.blank()]
        others = []
        for fault in faults:
            _, _, rest = fault.pointer.partition("/rules/")
            number, _, name = rest.partition("/")
            if number.isdigit() and int(number) < len(filled):
                row = filled[int(number)]
                row.add_error(name if name in row.fields else None, fault.detail)
            else:
                others.append(fault)
        return others


def _row_of(rule: Rule | RuleSpec) -> dict[str, str]:
    return {
        "effect": rule.effect.value,
        "actions": " ".join(action.value for action in Action if action in rule.actions),
        "topic": rule.topic,
        "qos": " ".join(map(str, sorted(rule.qos or EVERY_QOS))),
        "retain": rule.retain.value,
        "shared": rule.shared.value,
        "shared_group": rule.shared_group or "",
    }


def tell_faults(error: DomainError, form: ConsoleForm, rules: RuleForms) -> None:
    """Puts each fault beside its field: those of rules beside the rule."""
    others = rules.add_faults(error.errors)
    if others or not error.errors:
        form.add_fault(type(error)(error.detail, errors=tuple(others)))


class WindowForm(ConsoleForm):
    """From when until when a role is given, in the operator's zone."""

    not_before = forms.DateTimeField(label="from", required=False, widget=_moment_input())
    not_after = forms.DateTimeField(label="until", required=False, widget=_moment_input())
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone = ZoneInfo(zone)
        for name in ("not_before", "not_after"):
            self.fields[name].help_text = f"Time in {zone}."

    def window(self) -> Window:
        """The window that was typed. Where clocks are set back an hour comes twice: the narrower window is taken."""
        begins, ends = self.cleaned_data.get("not_before"), self.cleaned_data.get("not_after")
        return Window(
            not_before=begins and begins.replace(tzinfo=self.zone, fold=1).astimezone(UTC),
            not_after=ends and ends.replace(tzinfo=self.zone, fold=0).astimezone(UTC),
        )


def in_zone(window: Window, zone: str) -> dict[str, datetime | None]:
    """The window as a form has it."""
    bounds = {"not_before": window.not_before, "not_after": window.not_after}
    return {name: at and at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for name, at in bounds.items()}


class BindForm(WindowForm):
    """To whom a role is given, and for which time."""

    via = forms.ChoiceField(
        label="Give it to",
        choices=[
            ("device", "a device"),
            ("application", "an application"),
            ("group", "a group"),
            ("device_type", "a device type"),
            ("domain", "the whole domain"),
        ],
    )
    target = forms.CharField(
        label="called", max_length=64, required=False, widget=forms.TextInput(attrs={**_PLAIN, "list": "targets"})
    )

    field_order = ("via", "target", "not_before", "not_after")

    def __init__(self, *args: Any, groups: Sequence[str], device_types: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.suggestions = [*groups, *device_types]

    def clean(self) -> dict[str, Any]:
        """All but the domain have a name."""
        values = self.cleaned_data
        if values.get("via") != "domain" and not values.get("target"):
            self.add_error("target", "Type the name of what gets the role.")
        return values
