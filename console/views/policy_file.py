"""The domain's policy as a file: taken out, and brought in as a draft, also from files of other brokers."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from brokers.services.importing import FORMATS, WantedPolicy, foreign_policy, import_wanted, plan_wanted, wanted_policy
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from console.views.uploads import OctetsField
from devices.core.policy_plan import plan_lines, summary
from devices.core.policy_yaml import to_yaml
from devices.queries.policy import policy_document
from kernel.core.errors import Conflict, DomainError, Invalid

_OURS = "gatehouse"
_LABELS = {
    "emqx-acl-conf": "EMQX: acl.conf",
    "emqx-rules": "EMQX: rules of the built-in database, as JSON",
    "hivemq-ese-file": "HiveMQ: ESE file realm",
    "mosquitto-acl": "Mosquitto: ACL file",
    "mosquitto-dynsec": "Mosquitto 2.0: dynamic security",
    "mosquitto-dynsec-2.1": "Mosquitto 2.1: dynamic security",
    "rabbitmq-definitions": "RabbitMQ: definitions",
}
_MOST_FAULTS = 20


class PolicyFileForm(ConsoleForm):
    """A file, or its text; what is uploaded takes the place of the text."""

    format = forms.ChoiceField(
        label="What it is",
        choices=[(_OURS, "Gatehouse: the whole policy, as YAML"), *((each, _LABELS[each]) for each in sorted(FORMATS))],
        help_text="A file of Gatehouse says all of the policy. One of a broker adds roles to it.",
    )
    file = OctetsField(label="File", required=False)
    text = forms.CharField(
        label="or its text",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false", "class": "form-control mono", "wrap": "off"}),
    )
    title = forms.CharField(label="What the change is for", max_length=200, required=False)
    role_prefix = forms.CharField(
        label="Before the names of roles", max_length=32, required=False, help_text="For a file of a broker."
    )

    def clean(self) -> dict[str, Any]:
        """With the text of the file in `text`."""
        given = super().clean() or {}
        if octets := given.get("file"):
            try:
                given["text"] = octets.decode()
            except UnicodeDecodeError:
                self.add_error("file", "It is not in UTF-8: save it as UTF-8.")
        elif not given.get("text"):
            self.add_error("file", "Choose a file, or write its text below.")
        return given


@require_safe
@screen("policy:read")
def download(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The policy in force as YAML."""
    del request
    headers = {"Content-Disposition": f'attachment; filename="{visit.domain.slug}-policy.yaml"'}
    text = to_yaml(policy_document(domain=visit.domain.id))
    return HttpResponse(text, content_type="application/yaml", headers=headers)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("policy:read")
def import_file(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The form, and what importing its file would change; or a draft of it."""
    form = PolicyFileForm(request.POST or None, request.FILES or None)
    context: dict[str, Any] = {"may_write": visit.may("policy:write")}
    if request.method == "POST" and form.is_valid():
        try:
            wanted = _wanted(form, visit)
            if request.POST.get("act") == "draft":
                return _draft(request, visit, wanted, form)
            planned = plan_wanted(domain=visit.domain.id, wanted=wanted)
            context |= {"summary": summary(planned.difference), "notes": wanted.notes}
            context["lines"] = "\n".join(plan_lines(planned.difference))
        except (Invalid, Conflict) as error:
            context["faults"] = _faults(error)
    context["form"] = _with_text(form)
    return show(request, "policy_file.html", context)


def _wanted(form: PolicyFileForm, visit: Visit) -> WantedPolicy:
    given = form.cleaned_data
    if given["format"] == _OURS:
        return wanted_policy(text=given["text"])
    return foreign_policy(
        domain=visit.domain.id, format=given["format"], text=given["text"], prefix=given["role_prefix"].strip()
    )


def _draft(request: HttpRequest, visit: Visit, wanted: WantedPolicy, form: PolicyFileForm) -> HttpResponseBase:
    visit.check_may("policy:write")
    made = import_wanted(
        domain=visit.domain.id,
        wanted=wanted,
        title=form.cleaned_data["title"] or "Import of a file",
        actor=visit.actor,
        now=visit.now,
    )
    if made.change is None:
        messages.info(request, "Nothing differs from the policy in force: no draft was made.")
        return HttpResponseRedirect(reverse("policy-file"))
    return HttpResponseRedirect(reverse("change", args=[made.change.id]))


def _faults(error: DomainError) -> list[str]:
    """What is wrong, as sentences; the first alone if they are of no place."""
    found = [fault.detail for fault in error.errors[:_MOST_FAULTS]] or [error.detail]
    left = len(error.errors) - len(found)
    return [*found, f"And {left} more."] if left > 0 else found


def _with_text(form: PolicyFileForm) -> PolicyFileForm:
    """The form with the text that was read, so that it need not be chosen again."""
    if not form.is_bound or not form.is_valid():
        return form
    sent = {name: form.data.get(name) for name in form.data}
    return PolicyFileForm({**sent, "text": form.cleaned_data["text"]})
