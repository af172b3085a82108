"""How a broker listens: its profile in its own words, its certificate, what devices trust, and the last probe."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from brokers import queries, services
from brokers.core.listeners.probe import Aspect
from brokers.core.values import Broker
from console.views.frame import NotHere, Visit, screen, show
from console.views.listener_forms import FLAGS, LABELS, WHOLE_ROWS, ListenerForm, ServerRequestForm, initial_of
from console.views.operations import find_panel
from kernel.core.errors import DomainError

ASPECTS = {
    Aspect.REACHABLE: "Reachable",
    Aspect.OLD_TLS: "Old TLS",
    Aspect.TLS: "TLS",
    Aspect.CHAIN: "Chain",
    Aspect.NAME: "Name",
    Aspect.END: "End",
    Aspect.STAPLE: "OCSP staple",
    Aspect.CERTIFICATE_REQUIRED: "Client certificate",
    Aspect.ANONYMOUS: "Without a name",
    Aspect.MANAGEMENT: "Management",
    Aspect.DEFAULT_LOGIN: "Default login",
    Aspect.KEY_RIGHTS: "Rights of our key",
}


@require_safe
@screen("brokers:read")
def show_listeners(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """The broker's listeners."""
    return _page(request, visit, _seen(visit, name), ServerRequestForm())


def _page(request: HttpRequest, visit: Visit, broker: Broker, form: ServerRequestForm) -> HttpResponseBase:
    kept = services.listener_profile_of(broker=broker)
    rendered = services.render_listener_profile(broker=broker, now=visit.now)
    under_way = services.probe_under_way(broker=broker.id)
    panel = find_panel(visit, str(under_way)) if under_way else None
    probe = services.last_probe_of(broker=broker)  # read last: what ends meanwhile is seen
    reports = [
        (report, [(ASPECTS[line.aspect], line) for line in report.lines]) for report in (probe.reports if probe else ())
    ]
    context = {
        "broker": broker,
        "tab": "listeners",
        "kept": kept,
        "rendered": rendered,
        "warnings": [(LABELS.get(each.member, each.member), each) for each in rendered.warnings],
        "chain": services.server_chain_of(broker=broker, now=visit.now),
        "bundle": services.trust_bundle_of(broker=broker, now=visit.now),
        "probe": probe,
        "panel": panel,
        "reports": reports,
        "form": form,
        "may_write": visit.may("brokers:write", broker.domain),
        "may_sign": visit.may("issuers:sign", broker.domain),
    }
    return show(request, "broker_listeners.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("brokers:read")
def edit_profile(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """The profile as a form; sent, it is kept."""
    broker = _seen(visit, name)
    visit.check_may("brokers:write", broker.domain)
    kept = services.listener_profile_of(broker=broker)
    initial = initial_of(kept.profile, version=kept.version)
    form = ListenerForm(request.POST or None, kind=broker.kind, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_listener_profile(
                broker=broker.id,
                document=form.document(),
                expected_version=form.cleaned_data["version"],
                actor=visit.actor,
                now=visit.now,
            )
        except DomainError as error:
            form.add_fault(error)
        else:
            messages.success(request, "The profile is kept. Install the configuration, and probe the listeners then.")
            return _back(broker)
    context = {"broker": broker, "form": form, "flags": FLAGS, "whole_rows": WHOLE_ROWS}
    return show(request, "broker_listener_form.html", context)


@require_POST
@screen("brokers:read")
def probe(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:  # noqa: ARG001
    """Has the listeners looked at now; their page shows how far that is."""
    broker = _seen(visit, name)
    visit.check_may("brokers:write", broker.domain)
    services.order_probe(broker=broker.id, actor=visit.actor, now=visit.now)
    return _back(broker)


@require_POST
@screen("brokers:read")
def certify(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """A certificate for the broker from a request."""
    broker = _seen(visit, name)
    visit.check_may("issuers:sign", broker.domain)
    form = ServerRequestForm(request.POST)
    if form.is_valid():
        csr = form.cleaned_data["csr"].encode()
        try:
            services.certify_server(broker=broker.id, csr=csr, actor=visit.actor, now=visit.now)
        except DomainError as error:
            form.add_error("csr", error.detail)
        else:
            messages.success(request, "The certificate is issued. Install its chain as server.pem.")
            return _back(broker)
    return _page(request, visit, broker, form)


@require_safe
@screen("brokers:read")
def download_server(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:  # noqa: ARG001
    """The broker's certificate with its chain (PEM)."""
    broker = _seen(visit, name)
    chain = services.server_chain_of(broker=broker, now=visit.now)
    if chain is None:
        raise NotHere("Gatehouse issued no certificate to this broker: send a request for one.")
    return _pem(chain.chain_pem, f"{broker.name}-server.pem")


@require_safe
@screen("brokers:read")
def download_trust(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:  # noqa: ARG001
    """What devices trust (PEM)."""
    broker = _seen(visit, name)
    return _pem(services.trust_bundle_of(broker=broker, now=visit.now).pem, f"{broker.name}-trust.pem")


def _pem(text: str, filename: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return HttpResponse(text, content_type="application/x-pem-file", headers=headers)


def _back(broker: Broker) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("broker-listeners", args=[broker.name]))


def _seen(visit: Visit, name: str) -> Broker:
    return queries.get_broker(name=name, domains=visit.caller.domain_ids)
