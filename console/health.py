"""/healthz, /readyz and /metrics: for whatever runs this platform."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus

from celery import current_app
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView
from kombu.exceptions import OperationalError

from console.metrics import render_metrics
from console.models import Application
from console.oauth.validator import find_token
from kernel.api.address import peer_address
from kernel.core.clock import utc_now
from kernel.core.ids import new_id

log = logging.getLogger(__name__)

METRICS_SCOPE = "operations:read"
_QUEUE_TIMEOUT_SECONDS = 2
_migrated = False


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as this process answers."""
    del request
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 if requests can be served, else 503; either way what was looked at and how it stands."""
    del request
    found = {name: check() for name, check in CHECKS.items()}
    ready = all(reason == "ok" for reason in found.values())
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    return JsonResponse({"ready": ready, "checks": found}, status=status, headers={"Cache-Control": "no-store"})


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text, for this machine, or with a bearer token of the scope operations:read; 404 to all others.

    What is about issuers, certificates and findings spans domains: it needs an application for every domain.
    """
    application = None if _is_local(request) else _application(request)
    if application is None and not _is_local(request):
        return HttpResponse(status=HTTPStatus.NOT_FOUND)
    response: HttpResponse = ExportToDjangoView(request)
    if application is not None and not application.every_domain:
        return response
    try:
        response.content += render_metrics(now=utc_now())
    except DatabaseError:  # what the process counts itself is still worth having
        log.exception("metrics: the database does not answer")
    return response


def _database() -> str:
    global _migrated  # noqa: PLW0603 - migrations are never undone under a running process
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _migrated:
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                return "the database lacks migrations: run manage.py migrate"
            _migrated = True
    except DatabaseError:
        log.exception("readyz: the database does not answer")
        return "the database does not answer"
    return "ok"


def _cache() -> str:
    mark = str(new_id())
    try:
        cache.set(f"readyz:{mark}", mark, timeout=5)
        kept = cache.get(f"readyz:{mark}") == mark
    except Exception:
        log.warning("readyz: the cache does not answer", exc_info=True)
        kept = False
    return "ok" if kept else "the cache does not answer"


def _queue() -> str:
    try:
        with current_app.connection_for_write() as link:
            link.ensure_connection(max_retries=1, timeout=_QUEUE_TIMEOUT_SECONDS)
    except (TimeoutError, OperationalError, OSError):
        log.warning("readyz: the queue does not answer", exc_info=True)
        return "the queue of tasks does not answer: changes are kept, their consequences wait"
    return "ok"


CHECKS: Mapping[str, Callable[[], str]] = {"database": _database, "cache": _cache, "queue": _queue}


def _is_local(request: HttpRequest) -> bool:
    try:
        return ipaddress.ip_address(peer_address(request)).is_loopback and "HTTP_X_FORWARDED_FOR" not in request.META
    except ValueError:
        return False


def _application(request: HttpRequest) -> Application | None:
    """Whose token the request bears, if it is of the scope."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    found = find_token(token, now=utc_now()) if scheme == "Bearer" and token else None
    if found is None or METRICS_SCOPE not in found.scope.split():
        return None
    application: Application = found.application
    return application
