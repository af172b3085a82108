"""The authentication chain of a broker that asks over HTTP: its steps, what proves a login, and trying a CONNECT."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from brokers import queries, services
from brokers.core.auth_chains.chain import AuthChain
from brokers.core.decide.decisions import Identity
from brokers.core.decide.snippets import NAMES
from brokers.core.values import Broker
from brokers.services.auth_chains import KeptChain, Sample, Trial, UnreadableSample
from console.views.auth_chain_forms import MethodsForm, SampleForm, StepForms, parts
from console.views.frame import Visit, screen, show
from devices import queries as devices
from kernel.core.errors import Conflict, DomainError, Invalid
from pki import queries as pki


@require_http_methods(["GET", "HEAD", "POST"])
@screen("brokers:read")
def edit_chain(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """The steps in a form; sent, they hold within a second, or are tried on a CONNECT and nothing is saved."""
    broker = queries.get_broker(name=name, domains=visit.caller.domain_ids)
    visit.check_may("brokers:write", broker.domain)
    kept, sent = services.auth_chain_of(broker=broker.id), request.POST or None
    first = {"methods": " ".join(kept.chain.methods), "tag": kept.tag}
    steps = StepForms(sent, steps=kept.chain.steps)
    methods = MethodsForm(sent, initial=first, present=kept.chain.methods)
    sample = SampleForm(sent)
    trial = None
    if sent is not None and "more" not in sent and steps.is_valid() and methods.is_valid():
        try:
            chain = steps.chain(methods.cleaned_data["methods"])
            if "try" in sent and sample.is_valid():
                trial = _try(visit, broker, chain, sample)
            elif "try" not in sent:
                return _save(request, visit, broker, chain, methods.cleaned_data["tag"])
        except (Invalid, Conflict) as error:
            steps.tell(error, methods)
    context = {"broker": broker, "steps": steps, "form": methods, "sample": sample, "trial": trial, **_told(kept)}
    return show(request, "broker_authentication.html", context)


def _save(request: HttpRequest, visit: Visit, broker: Broker, chain: AuthChain, tag: str) -> HttpResponseBase:
    services.change_auth_chain(broker=broker.id, chain=chain, expected=tag, actor=visit.actor, now=visit.now)
    messages.success(request, "Saved: whoever logs in from now on is judged by it, and so is what is done from now on.")
    return HttpResponseRedirect(reverse("broker", args=[broker.name]))


def _try(visit: Visit, broker: Broker, chain: AuthChain, form: SampleForm) -> Trial | None:
    values: dict[str, Any] = form.cleaned_data
    try:
        sample = Sample(
            username=values["username"],
            client_id=values["client_id"],
            certificate=values["certificate"] or _certificate_of(broker, values["device"]),
            password=values["password"],
            identity=Identity(values["identity"]),
        )
        return services.try_auth_chain(broker=broker.id, chain=chain, sample=sample, now=visit.now)
    except UnreadableSample as error:
        form.add_error("certificate", error.detail)
    except _NoCertificate as error:
        form.add_error("device", error.detail)
    return None


class _NoCertificate(DomainError):
    """There is none to try."""


def _certificate_of(broker: Broker, auth_id: str) -> str:
    """The newest certificate of the device, as PEM; empty without a device. Raises _NoCertificate."""
    if not auth_id:
        return ""
    device = devices.find_principal_id(domain=broker.domain, auth_id=auth_id)
    found = pki.certificates_of(holder=f"device:{device}") if device else []
    if not found:
        raise _NoCertificate("The domain has no device of that auth id with a certificate.")
    return found[0].pem


def _told(kept: KeptChain) -> dict[str, object]:
    return {"dialect": NAMES[kept.dialect], "believable": kept.believable, "parts": parts()}
