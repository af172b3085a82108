"""A rollout: how it is begun, each wave as it comes, and what stops it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from brokers import services
from brokers.queries import list_brokers
from brokers.services.rollout_progress import progress_of
from console.views.change import seen_change, sent_version
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from devices.core.policy_changes import ChangeState, PolicyChange
from devices.core.rollouts import UNDER_WAY, Gate, Reaction, Rollout, RolloutId, RolloutState, Split
from devices.queries import list_groups
from devices.queries.rollouts import get_rollout
from kernel.core.errors import Conflict, Invalid

_SPLITS = (
    (Split.PERCENTAGE.value, "a share of the fleet"),
    (Split.GROUP.value, "groups of devices"),
    (Split.BROKER.value, "brokers"),
)
_REACTIONS = {Reaction.PAUSE: "pause and ask", Reaction.ROLL_BACK: "roll back", Reaction.GO_ON: "go on"}
_ON_TROUBLE = [(each.value, _REACTIONS[each]) for each in (Reaction.PAUSE, Reaction.ROLL_BACK)]
_ON_UNKNOWN = [(each.value, words) for each, words in _REACTIONS.items()]
_STANDARD = Gate()
_NAMED = 50


class StartForm(ConsoleForm):
    """The waves of a rollout, and what stops it."""

    split = forms.ChoiceField(label="Waves are", choices=_SPLITS)
    waves = forms.CharField(
        label="Waves",
        max_length=20_000,
        initial="1\n10\n50",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocapitalize": "none"}),
        help_text="One a line: a percentage of the fleet so far, or names with commas between. "
        "Everybody else comes in one more wave, the last.",
    )
    soak = forms.IntegerField(
        label="Watch each wave for",
        min_value=0,
        max_value=43_200,
        initial=int(_STANDARD.soak.total_seconds() // 60),
        help_text="Minutes, from when all its brokers obey. Of a quiet broker nothing is known before three.",
    )
    refused = forms.IntegerField(
        label="Refused or denied, at most",
        min_value=0,
        max_value=100,
        initial=_STANDARD.refused,
        help_text="Percent of the wave's devices that are seen; what they met before the wave does not count.",
    )
    lost = forms.IntegerField(
        label="Connections lost, at most",
        min_value=0,
        max_value=100,
        initial=_STANDARD.lost,
        help_text="Percent of them, in the same way.",
    )
    on_trouble = forms.ChoiceField(label="With more than that", choices=_ON_TROUBLE)
    on_unknown = forms.ChoiceField(
        label="Where it is not known",
        choices=_ON_UNKNOWN,
        help_text="Some brokers do not tell of refusals or denials: see How to roll out in waves.",
    )

    def parts(self) -> list[list[str]]:
        """The names in each wave, as they were typed."""
        lines = (line.split(",") for line in self.cleaned_data["waves"].splitlines() if line.strip())
        return [[name.strip().removesuffix("%").strip() for name in line] for line in lines]

    def gate(self) -> Gate:
        """What stops it."""
        sent = self.cleaned_data
        return Gate(
            soak=timedelta(minutes=sent["soak"]),
            refused=sent["refused"],
            lost=sent["lost"],
            on_trouble=Reaction(sent["on_trouble"]),
            on_unknown=Reaction(sent["on_unknown"]),
        )


@require_http_methods(["GET", "HEAD", "POST"])
@screen("policy:read")
def begin_rollout(request: HttpRequest, visit: Visit, change: UUID) -> HttpResponseBase:
    """Lets an approved change come in waves."""
    found = seen_change(visit, change)
    visit.check_may("policy:apply", found.domain)
    form = StartForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            started = _started(request, visit, found, form)
            return HttpResponseRedirect(reverse("rollout", args=[started.id]))
        except (Conflict, Invalid) as error:
            form.add_fault(error)
    context = {
        "change": found,
        "form": form,
        "version": request.POST.get("version") or found.version,
        "offered": found.state is ChangeState.APPROVED,
        "groups": [group.name for group in list_groups(domains=[found.domain], limit=_NAMED)],
        "brokers": [broker.name for broker in list_brokers(domains=[found.domain])][:_NAMED],
    }
    return show(request, "rollout_form.html", context)


def _started(request: HttpRequest, visit: Visit, change: PolicyChange, form: StartForm) -> Rollout:
    return services.start_rollout(
        change=change,
        split=Split(form.cleaned_data["split"]),
        parts=form.parts(),
        gate=form.gate(),
        expected_version=sent_version(request),
        actor=visit.actor,
        now=visit.now,
    )


@require_safe
@screen("policy:read")
def show_rollout(request: HttpRequest, visit: Visit, rollout: UUID) -> HttpResponseBase:
    """The rollout, wave by wave."""
    found = seen_rollout(visit, rollout)
    context: dict[str, Any] = {
        "rollout": found,
        "waves": progress_of(found),
        "under_way": found.state in UNDER_WAY,
        "paused": found.state is RolloutState.PAUSED,
        "minutes": f"{found.gate.soak.total_seconds() / 60:g} min",
        "on_trouble": _REACTIONS[found.gate.on_trouble],
        "on_unknown": _REACTIONS[found.gate.on_unknown],
        "may_apply": visit.may("policy:apply", found.domain),
    }
    return show(request, "rollout.html", context)


def seen_rollout(visit: Visit, rollout: UUID) -> Rollout:
    """The rollout, if the operator may see it. Raises RolloutNotFound."""
    return get_rollout(rollout=RolloutId(rollout), domains=visit.caller.domain_ids)
