"""Groups: who is in each, what it was given, and the query that finds its members, tried while it is typed."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from acl import queries as roles
from console.views.devices import after_place
from console.views.forms import ConsoleForm
from console.views.frame import Visit, screen, show
from console.views.paging import DamagedPlace, Place, place_of, to_uuid
from devices import queries, services
from devices.core.group_query import MOST_CHARACTERS, query_fault
from devices.core.policy_editing import with_group_query
from devices.core.tags import query_tag
from devices.core.values import DeviceId, GroupId, PrincipalKind
from devices.queries import DeviceFilter, GroupRow
from devices.queries.groups import SlowPreview
from devices.queries.policy import policy_document
from devices.services.policy_changes import draft_change
from devices.services.policy_gate import ApprovalRequired
from kernel.core.errors import Conflict, Invalid, NotFound


class QueryForm(ConsoleForm):
    """Which devices belong to a group."""

    query = forms.CharField(
        label="Query",
        max_length=MOST_CHARACTERS,
        strip=True,
        widget=forms.Textarea(
            attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off", "class": "form-control mono"}
        ),
        help_text='Such as attr.site == "north" and not device_type in ["gateway"].',
    )
    tag = forms.CharField(widget=forms.HiddenInput, required=False)


class NewGroupForm(QueryForm):
    """A new group; without a query its members are chosen."""

    name = forms.CharField(max_length=64, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    field_order = ("name", "query")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["query"].required = False


class MemberForm(ConsoleForm):
    """A device by name."""

    name = forms.CharField(label="Device", max_length=64, widget=forms.TextInput(attrs={"autocomplete": "off"}))


@require_safe
@screen("groups:read")
def list_groups(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """The domain's groups, by name."""
    place, domains = place_of(request), [visit.domain.id]
    rows = queries.list_groups(domains=domains, after=_before(place), limit=place.size + 1)
    shown = rows[: place.size]
    more = [shown[-1].name, str(shown[-1].id)] if len(rows) > place.size else None
    about = queries.count_groups(domains=domains)
    context = {
        "rows": shown,
        "pager": place.pager(shown=len(shown), next_key=more, noun="groups", about=about),
        "may_write": visit.may("groups:write"),
    }
    return show(request, "groups.html", context)


def _before(place: Place) -> tuple[str, GroupId] | None:
    """The group before the page; None on the first page. Raises DamagedPlace."""
    match place.key:
        case None:
            return None
        case [str(name), str(group)]:
            return name, GroupId(to_uuid(group))
    raise DamagedPlace


@require_safe
@screen("groups:read")
def show_group(request: HttpRequest, visit: Visit, group: UUID) -> HttpResponseBase:
    """One group and its members, by name."""
    return _page(request, visit, _seen(visit, group), MemberForm())


def _seen(visit: Visit, group: UUID) -> GroupRow:
    return queries.get_group(group=GroupId(group), domains=visit.caller.domain_ids)


def _page(request: HttpRequest, visit: Visit, group: GroupRow, form: MemberForm) -> HttpResponseBase:
    place = place_of(request)
    narrowed = DeviceFilter(group=group.name)
    page = queries.list_devices(domains=[group.domain], narrowed=narrowed, after=after_place(place), limit=place.size)
    found = queries.list_devices(domains=[group.domain], kind=PrincipalKind.APPLICATION, narrowed=narrowed)
    given = queries.list_bindings(domains=[group.domain], group=group.id)
    known = roles.roles_by_id(ids=[binding.role for binding in given])
    context = {
        "group": group,
        "applications": found.devices if visit.may("broker-applications:read", group.domain) else (),
        "devices": page.devices if visit.may("devices:read", group.domain) else (),
        "pager": place.pager(
            shown=len(page.devices),
            next_key=page.next_key,
            noun="members",
            about=group.member_count,
        ),
        "given": [(known[binding.role], binding.window) for binding in given if binding.role in known],
        "form": form,
        "may_write": visit.may("groups:write", group.domain),
    }
    return show(request, "group.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@screen("groups:write")
def new_group(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """Makes a group, by query or to be filled by hand."""
    form = NewGroupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_group(
                domain=visit.domain.id,
                name=form.cleaned_data["name"],
                query=form.cleaned_data["query"],
                actor=visit.actor,
                now=visit.now,
            )
        except (Invalid, Conflict) as error:
            form.add_fault(error)
        else:
            return HttpResponseRedirect(reverse("group", args=[made]))
    return show(request, "group_form.html", {"form": form, "group": None})


@require_http_methods(["GET", "HEAD", "POST"])
@screen("groups:write")
def edit_query(request: HttpRequest, visit: Visit, group: UUID) -> HttpResponseBase:
    """Changes the query of a group, at once or in a draft."""
    found = _seen(visit, group)
    form = QueryForm(request.POST or None, initial={"query": found.query, "tag": query_tag(found.query)})
    if request.method == "POST" and form.is_valid():
        try:
            return HttpResponseRedirect(_write(request, visit, found, form))
        except (Invalid, Conflict, ApprovalRequired) as error:
            form.add_fault(error)
    may_draft = visit.may("policy:write", found.domain)
    return show(request, "group_form.html", {"form": form, "group": found, "may_draft": may_draft})


def _write(request: HttpRequest, visit: Visit, group: GroupRow, form: QueryForm) -> str:
    """Where it can be looked at."""
    query = form.cleaned_data["query"]
    if "draft" in request.POST:
        visit.check_may("policy:write", group.domain)
        document = with_group_query(policy_document(domain=group.domain), group.name, query)
        made = draft_change(
            domain=group.domain,
            title=f"Who is in {group.name}",
            document=document,
            actor=visit.actor,
            now=visit.now,
        )
        return reverse("change", args=[made.id])
    services.change_group_query(
        group=group.id,
        query=query,
        expected_tag=form.cleaned_data["tag"] or None,
        actor=visit.actor,
        now=visit.now,
    )
    messages.success(request, f"{group.name} has its members by the new query; the brokers are being told.")
    return reverse("group", args=[group.id])


@require_safe
@screen("groups:read")
def check_query(request: HttpRequest, visit: Visit) -> HttpResponseBase:
    """What the query that is typed finds, and what is wrong with it; `group` is the one that it is for."""
    query, asked = request.GET.get("query", "").strip(), request.GET.get("group", "")
    try:
        group = _seen(visit, UUID(asked)) if asked else None
    except ValueError as error:
        raise Invalid("That is no group's id.") from error
    fault = query_fault(query) if query else None
    preview = None
    if query and fault is None:
        domain = group.domain if group else visit.domain.id
        try:
            preview = queries.preview_query(domain=domain, query=query, group=group.id if group else None)
        except SlowPreview as error:
            fault = error.detail
    return show(request, "parts/query_check.html", {"fault": fault, "preview": preview, "group": group})


@require_POST
@screen("groups:write")
def add_member(request: HttpRequest, visit: Visit, group: UUID) -> HttpResponseBase:
    """Puts a device into a group of chosen members."""
    found = _seen(visit, group)
    form = MemberForm(request.POST)
    if form.is_valid():
        try:
            device = queries.find_principal_by_name(domain=found.domain, name=form.cleaned_data["name"])
            if device is None:
                raise NotFound("There is no device of this name in the domain.")
            services.add_to_group(group=found.id, devices=[device.id], actor=visit.actor, now=visit.now)
        except NotFound as error:
            form.add_fault(error)
            return _page(request, visit, found, form)
        except Conflict as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, f"{device.name} is in {found.name}; the brokers are being told.")
        return HttpResponseRedirect(reverse("group", args=[found.id]))
    return _page(request, visit, found, form)


@require_POST
@screen("groups:write")
def remove_member(request: HttpRequest, visit: Visit, group: UUID, device: UUID) -> HttpResponseBase:
    """Takes a device out of a group of chosen members."""
    found = _seen(visit, group)
    try:
        services.remove_from_group(group=found.id, devices=[DeviceId(device)], actor=visit.actor, now=visit.now)
    except Conflict as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, "It is out of the group; the brokers are being told.")
    return HttpResponseRedirect(reverse("group", args=[found.id]))
