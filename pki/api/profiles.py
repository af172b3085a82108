"""/api/v1/profiles/"""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel.api.documents import body_of, caller_of
from kernel.api.if_match import expected_version, if_match_on, required_version, tag_of
from kernel.core import cursor
from kernel.core.caller import Caller
from kernel.core.clock import utc_now
from kernel.core.ids import DomainId
from kernel.core.pages import limit_of, page_of
from pki import queries, services
from pki.api.documents import NothingDocument
from pki.api.profile_documents import (
    ChangedProfileDocument,
    NewProfileDocument,
    PreviewDocument,
    PreviewRequestDocument,
    ProfileDetailDocument,
    ProfileListDocument,
    preview_as_json,
    profile_as_json,
    version_as_json,
)
from pki.core.certificates import Names
from pki.core.profile_documents import parse_profile
from pki.queries import ProfileState

_IF_MATCH = if_match_on("profile")
_MUST_MATCH = if_match_on("profile", required=True)
_DOMAIN = OpenApiParameter(name="domain", description="Slug of the domain, where the caller may act in several.")


class ProfileListView(APIView):
    """The profiles that are in use in the domains of the caller."""

    scopes = {"GET": "profiles:read", "POST": "profiles:write"}

    @extend_schema(
        operation_id="listProfiles",
        parameters=[
            OpenApiParameter(name="domain", description="Slug of a domain: its profiles only."),
            OpenApiParameter(name="limit", type=int, description="1 to 1000, 100 if absent."),
            OpenApiParameter(name="cursor", description="`next` of the page before."),
        ],
        responses=ProfileListDocument,
    )
    def get(self, request: Request) -> Response:
        """A page of profiles by name."""
        caller, limit = caller_of(request), limit_of(request.query_params)
        wanted = request.query_params.get("domain")
        domains = [caller.domain(wanted)] if wanted else list(caller.domain_ids)
        after = cursor.decode_named(request.query_params.get("cursor"), str)
        every = queries.list_profile_states(domains=domains)
        found = page_of(
            [state for state in every if after is None or _sort_key(state) > after],
            limit=limit,
            place=_sort_key,
            document=lambda state: profile_as_json(state, domain_slug=caller.slug_of(state.domain)),
            approximate_count=len(every),
        )
        return Response(found)

    @extend_schema(operation_id="createProfile", request=NewProfileDocument, responses={201: ProfileDetailDocument})
    def post(self, request: Request) -> Response:
        """The new profile."""
        caller, body = caller_of(request), body_of(NewProfileDocument, request)
        state = services.save_profile(
            domain=caller.domain(body.get("domain")),
            name=body["name"],
            document=body["document"],
            is_new=True,
            actor=caller.actor,
            now=utc_now(),
        )
        return _answer(state, caller, status=201)


class ProfileView(APIView):
    """One profile."""

    scopes = {"GET": "profiles:read", "PUT": "profiles:write"}

    @extend_schema(
        operation_id="getProfile",
        parameters=[_DOMAIN, OpenApiParameter(name="version", type=int, description="An old version; 0 is built in.")],
        responses=ProfileDetailDocument,
    )
    def get(self, request: Request, certificate_profile: str) -> Response:
        """The profile as it is in use, or one version of it that there ever was, with its ETag."""
        caller = caller_of(request)
        domain = _domain(request)
        wanted = request.query_params.get("version")
        if wanted is None:
            return _answer(queries.find_profile_state(domain=domain, name=certificate_profile), caller)
        version = int(wanted[:9]) if wanted.isascii() and wanted.isdigit() else -1
        return _answer(queries.find_version_state(domain=domain, name=certificate_profile, version=version), caller)

    @extend_schema(
        operation_id="changeProfile",
        parameters=[_DOMAIN, _MUST_MATCH],
        request=ChangedProfileDocument,
        responses=ProfileDetailDocument,
    )
    def put(self, request: Request, certificate_profile: str) -> Response:
        """The profile as it is in use from now on: a new version, unless nothing changes."""
        caller, domain = caller_of(request), _domain(request)
        seen = queries.find_profile_state(domain=domain, name=certificate_profile)
        body = body_of(ChangedProfileDocument, request)
        state = services.save_profile(
            domain=domain,
            name=seen.profile.name,
            document=body["document"],
            expected_version=required_version(request),
            actor=caller.actor,
            now=utc_now(),
        )
        return _answer(state, caller)


class ProfileRetireView(APIView):
    """Retiring a profile."""

    scopes = {"POST": "profiles:write"}

    @extend_schema(
        operation_id="retireProfile", parameters=[_DOMAIN, _IF_MATCH], request=NothingDocument, responses={204: None}
    )
    def post(self, request: Request, certificate_profile: str) -> Response:
        """Nothing; the domain's own versions are in use no longer."""
        caller, domain = caller_of(request), _domain(request)
        seen = queries.find_profile_state(domain=domain, name=certificate_profile)
        body_of(NothingDocument, request)
        services.retire_profile(
            domain=domain,
            name=seen.profile.name,
            expected_version=expected_version(request),
            actor=caller.actor,
            now=utc_now(),
        )
        return Response(status=204)


class ProfilePreviewView(APIView):
    """Trying a profile."""

    scopes = {"POST": "profiles:read"}

    @extend_schema(
        operation_id="previewProfile", parameters=[_DOMAIN], request=PreviewRequestDocument, responses=PreviewDocument
    )
    def post(self, request: Request, certificate_profile: str) -> Response:
        """The certificate that the profile, or the document in its place, would make; nothing is stored."""
        caller, domain = caller_of(request), _domain(request)
        body = body_of(PreviewRequestDocument, request)
        if "document" in body:
            profile = parse_profile(body["document"], name=certificate_profile)
        else:
            profile = queries.find_profile(domain=domain, name=certificate_profile)
        issuer = queries.find_issuer(slug=body["issuer"], domains=caller.domain_ids).id if body.get("issuer") else None
        names = Names(
            variables=body["variables"],
            dns=tuple(body["dns_names"]),
            ip=tuple(body["ip_addresses"]),
            email=tuple(body["email_addresses"]),
            uri=tuple(body["uris"]),
        )
        return Response(
            preview_as_json(services.preview_certificate(issuer=issuer, profile=profile, names=names, now=utc_now()))
        )


def _domain(request: Request) -> DomainId:
    return caller_of(request).domain(request.query_params.get("domain"))


def _answer(state: ProfileState, caller: Caller, *, status: int = 200) -> Response:
    versions = queries.profile_versions(domain=state.domain, name=state.profile.name)
    document = profile_as_json(state, domain_slug=caller.slug_of(state.domain))
    document["versions"] = [version_as_json(record) for record in versions]
    return Response(document, status=status, headers=tag_of(state.profile.version))


def _sort_key(state: ProfileState) -> tuple[str, str]:
    return state.profile.name, str(state.domain)
