"""Writing profiles: by the form, as JSON, and retiring a domain's own."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from console.views.profile_forms import WHOLE_ROWS, DocumentForm, ProfileForm, document_text, initial_of
from console.views.profiles import preview_context, preview_issuers, seen_profile
from kernel.core.errors import Conflict, Invalid, NotFound
from pki import services
from pki.core.profile_documents import parse_profile
from pki.queries import ProfileState


@require_http_methods(["GET", "HEAD", "POST"])
@screen("profiles:read")
def new_profile(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """A profile of the domain's own, beginning as a copy of another."""
    visit.check_may("profiles:write")
    model = seen_profile(visit, request.GET.get("like") or "device")
    initial = initial_of(model.profile, name="") | {"description": "", "version": None}
    form = ProfileForm(request.POST or None, initial=initial)
    return _write(request, visit, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("profiles:read")
def edit_profile(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """The next version of a profile; a built-in one gets the domain's own version over it."""
    state = seen_profile(visit, name)
    visit.check_may("profiles:write")
    form = ProfileForm(request.POST or None, initial=initial_of(state.profile, name=name))
    form.fields["name"].disabled = True
    return _write(request, visit, form, state)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("profiles:read")
def edit_document(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """The same as JSON."""
    state = seen_profile(visit, name)
    visit.check_may("profiles:write")
    initial = {"name": name, "version": state.profile.version, "document": document_text(state.profile)}
    form = DocumentForm(request.POST or None, initial=initial)
    form.fields["name"].disabled = True
    return _write(request, visit, form, state)


def _write(
    request: HttpRequest, visit: Visit, form: ProfileForm | DocumentForm, state: ProfileState | None
) -> HttpResponseBase:
    if request.method == "POST" and form.is_valid():
        try:
            return _saved(request, _save(visit, form, is_new=state is None))
        except (Invalid, Conflict) as error:
            form.add_fault(error)
    context = {
        "form": form,
        "state": state,
        "issuers": preview_issuers(visit),
        "as_json": isinstance(form, DocumentForm),
        "whole_rows": WHOLE_ROWS,
        "flags": [name for name, field in form.fields.items() if field.widget.__class__.__name__ == "CheckboxInput"],
    }
    return show(request, "profile_form.html", context)


def _document(form: ConsoleForm) -> object:
    return form.document() if isinstance(form, ProfileForm) else form.cleaned_data["document"]


def _save(visit: Visit, form: ConsoleForm, *, is_new: bool) -> ProfileState:
    return services.save_profile(
        domain=visit.domain.id,
        name=form.cleaned_data["name"],
        document=_document(form),
        expected_version=None if is_new else form.cleaned_data["version"],
        is_new=is_new,
        actor=visit.actor,
        now=visit.now,
    )


def _saved(request: HttpRequest, state: ProfileState) -> HttpResponse:
    profile = state.profile
    messages.success(request, f"Version {profile.version} of {profile.name} is in use for new certificates.")
    return HttpResponseRedirect(reverse("profile", args=[profile.name]))


@require_POST
@screen("profiles:read")
def preview_draft(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The certificate that what is typed would make; nothing is saved."""
    as_json = "document" in request.POST
    form: ConsoleForm = DocumentForm(request.POST) if as_json else ProfileForm(request.POST)
    form.fields["name"].required = False
    context: dict[str, Any]
    if not form.is_valid():
        context = {"fault": "What is typed can not be read yet: see beside the fields once it is saved."}
        if as_json and "document" in form.errors:
            context = {"fault": " ".join(map(str, form.errors["document"]))}
    else:
        try:
            profile = parse_profile(_document(form), name=form.cleaned_data["name"] or "draft")
            context = preview_context(visit, profile, request.POST.get("issuer", ""))
        except Invalid as error:
            context = {"fault": error.detail, "faults": error.errors}
    return show(request, "parts/profile_preview.html", context)


@require_POST
@screen("profiles:read")
def retire_profile(request: HttpRequest, visit: Visit, name: str) -> HttpResponseBase:
    """The domain's own versions are in use no longer; a built-in one of that name is again."""
    state = seen_profile(visit, name)
    visit.check_may("profiles:write")
    try:
        services.retire_profile(
            domain=visit.domain.id,
            name=name,
            expected_version=state.profile.version,
            actor=visit.actor,
            now=visit.now,
        )
    except (Conflict, NotFound) as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(reverse("profile", args=[name]))
    words = "The built-in one is in use again." if state.is_built_in else "Nothing new is issued by it."
    messages.success(request, f"Your own versions of {name} are retired. {words}")
    return HttpResponseRedirect(reverse("profile", args=[name]) if state.is_built_in else reverse("profiles"))
