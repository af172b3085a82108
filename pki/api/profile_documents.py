"""Profiles and their previews as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from kernel.api.documents import StrictDocument
from pki.core.profile_documents import profile_document
from pki.queries import ProfileState, VersionRecord
from pki.services import Preview

_DOCUMENT = "The profile itself; docs/reference/profiles.md lists its members."
_MAX_NAMES = 100


class NewProfileDocument(StrictDocument):
    """A profile to be made. `domain` is needed only where the caller may act in several."""

    domain = serializers.CharField(required=False)
    name = serializers.CharField(max_length=32)
    document = serializers.JSONField(help_text=_DOCUMENT)


class ChangedProfileDocument(StrictDocument):
    """What is to be the profile from now on."""

    document = serializers.JSONField(help_text=_DOCUMENT)


class ProfileDocument(serializers.Serializer[Any]):
    """A profile as it is in use. Version 0 is built in."""

    domain = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    is_built_in = serializers.BooleanField()
    created_at = serializers.DateTimeField(allow_null=True)
    variables = serializers.ListField(child=serializers.CharField())
    document = serializers.JSONField(help_text=_DOCUMENT)


class VersionDocument(serializers.Serializer[Any]):
    """One version of a profile."""

    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    retired_at = serializers.DateTimeField(allow_null=True)


class ProfileDetailDocument(ProfileDocument):
    """A profile, and the domain's own versions of it, the newest first."""

    versions = VersionDocument(many=True)


class ProfileListDocument(serializers.Serializer[Any]):
    """A page of profiles."""

    results = ProfileDocument(many=True)
    next = serializers.CharField(allow_null=True)
    approximate_count = serializers.IntegerField()


def _text(longest: int, *, trim_whitespace: bool = True) -> serializers.CharField:
    return serializers.CharField(max_length=longest, trim_whitespace=trim_whitespace)


class PreviewRequestDocument(StrictDocument):
    """What to try. What is left out is made up; `document` is tried in place of the profile that there is."""

    issuer = serializers.CharField(required=False, allow_null=True, help_text="Slug of the issuer; else one made up.")
    variables = serializers.DictField(child=_text(1_024, trim_whitespace=False), default=dict)
    dns_names = serializers.ListField(child=_text(253), default=list, max_length=_MAX_NAMES)
    ip_addresses = serializers.ListField(child=_text(45), default=list, max_length=_MAX_NAMES)
    email_addresses = serializers.ListField(child=_text(254), default=list, max_length=_MAX_NAMES)
    uris = serializers.ListField(child=_text(1_024), default=list, max_length=_MAX_NAMES)
    document = serializers.JSONField(required=False, help_text=_DOCUMENT)


class FieldDocument(serializers.Serializer[Any]):
    """A field or an extension; `critical` is null of what is no extension."""

    name = serializers.CharField()
    values = serializers.ListField(child=serializers.CharField())
    critical = serializers.BooleanField(allow_null=True)


class LintFindingDocument(serializers.Serializer[Any]):
    """What a linter found. An error would stop issuance."""

    severity = serializers.ChoiceField(choices=["error", "warning", "notice"])
    code = serializers.CharField()
    section = serializers.CharField()
    text = serializers.CharField()

    def get_fields(self) -> dict[str, Any]:
        """The fields; one of them is called `source`, which a field has for itself."""
        return {**super().get_fields(), "source": serializers.ChoiceField(choices=["gatehouse", "pkilint"])}


class PreviewDocument(serializers.Serializer[Any]):
    """A certificate that nobody may believe: a key that was thrown away signed it."""

    certificate = serializers.CharField()
    variables = serializers.DictField(child=serializers.CharField())
    findings = LintFindingDocument(many=True)
    linters = serializers.ListField(child=serializers.CharField())

    def get_fields(self) -> dict[str, Any]:
        """The fields; one of them is called `fields`, which a serializer has for itself."""
        return {**super().get_fields(), "fields": FieldDocument(many=True)}


def profile_as_json(state: ProfileState, *, domain_slug: str) -> dict[str, Any]:
    """The profile as JSON; `domain` is its slug."""
    return {
        "domain": domain_slug,
        "name": state.profile.name,
        "version": state.profile.version,
        "is_built_in": state.is_built_in,
        "created_at": state.created_at,
        "variables": sorted(state.profile.variables),
        "document": profile_document(state.profile),
    }


def version_as_json(record: VersionRecord) -> dict[str, Any]:
    """A version as JSON."""
    return {"version": record.version, "created_at": record.created_at, "retired_at": record.retired_at}


def preview_as_json(preview: Preview) -> Mapping[str, Any]:
    """The preview as JSON."""
    return {
        "certificate": preview.certificate_pem,
        "variables": dict(sorted(preview.variables.items())),
        "fields": [
            {"name": field.name, "values": [*field.values], "critical": field.critical} for field in preview.fields
        ],
        "findings": [
            {
                "severity": finding.severity.value,
                "code": finding.code,
                "section": finding.section,
                "text": finding.text,
                "source": finding.source,
            }
            for finding in preview.findings
        ],
        "linters": [*preview.linters],
    }
