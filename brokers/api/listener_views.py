"""/api/v1/brokers/<name>/listener-profile/ and /configuration/"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import services
from brokers.api.views import seen
from brokers.core.listeners.cipher_suites import CipherSuite
from brokers.core.listeners.profile import LIMITS, Make, TlsVersion, profile_document
from brokers.services.listener_profiles import KeptProfile
from kernel.api.documents import caller_of
from kernel.api.if_match import if_match_on, required_version, tag_of
from kernel.core.clock import utc_now


def _limit(name: str) -> serializers.IntegerField:
    least, greatest = LIMITS[name]
    return serializers.IntegerField(min_value=least, max_value=greatest, allow_null=True, required=False)


class ListenerProfileDocument(serializers.Serializer[Any]):
    """How a broker is to listen. What is left out is as safe as can be; a limit that is null is the broker's own."""

    make = serializers.ChoiceField(choices=[*Make], required=False)
    folder = serializers.CharField(required=False, help_text="Where the broker finds certificate, key, CAs and CRLs.")
    minimum_tls = serializers.ChoiceField(choices=[*TlsVersion], required=False)
    cipher_suites = serializers.ListField(child=serializers.ChoiceField(choices=[*CipherSuite]), required=False)
    require_certificate = serializers.BooleanField(required=False)
    username_from_certificate = serializers.BooleanField(required=False)
    client_id_from_username = serializers.BooleanField(required=False)
    allow_anonymous = serializers.BooleanField(required=False)
    check_crl = serializers.BooleanField(required=False)
    check_ocsp = serializers.BooleanField(required=False)
    staple_ocsp = serializers.BooleanField(required=False)
    proxy_protocol = serializers.BooleanField(required=False)
    proxies = serializers.ListField(child=serializers.CharField(), required=False)
    plain_port = _limit("plain_port")
    websocket_path = serializers.CharField(required=False)
    max_connections = _limit("max_connections")
    connections_per_second = _limit("connections_per_second")
    messages_per_second = _limit("messages_per_second")
    max_client_id_length = _limit("max_client_id_length")
    max_topic_length = _limit("max_topic_length")
    max_topic_levels = _limit("max_topic_levels")
    max_packet_size = _limit("max_packet_size")
    connect_timeout_seconds = _limit("connect_timeout_seconds")
    max_keep_alive_seconds = _limit("max_keep_alive_seconds")


class RenderedFileDocument(serializers.Serializer[Any]):
    """A file of the broker, or what belongs into it."""

    name = serializers.CharField()
    text = serializers.CharField()


class ListenerWarningDocument(serializers.Serializer[Any]):
    """What is unsafe, or can not be had from this broker."""

    member = serializers.CharField(help_text="Of the profile.")
    severity = serializers.CharField()
    what = serializers.CharField()
    remedy = serializers.CharField()


class ConfigurationDocument(serializers.Serializer[Any]):
    """The profile in the broker's own words."""

    files = RenderedFileDocument(many=True)
    warnings = ListenerWarningDocument(many=True)


class ListenerProfileView(APIView):
    """How a broker is to listen."""

    scopes = {"GET": "brokers:read", "PUT": "brokers:write"}

    @extend_schema(operation_id="getListenerProfile", responses=ListenerProfileDocument)
    def get(self, request: Request, name: str) -> Response:
        """The profile, every member in it."""
        return _answer(services.listener_profile_of(broker=seen(request, name)))

    @extend_schema(
        operation_id="changeListenerProfile",
        parameters=[if_match_on("profile", required=True)],
        request=ListenerProfileDocument,
        responses=ListenerProfileDocument,
    )
    def put(self, request: Request, name: str) -> Response:
        """The profile as it is now; the broker gets it from whoever installs its configuration."""
        changed = services.change_listener_profile(
            broker=seen(request, name).id,
            document=request.data,
            expected_version=required_version(request),
            actor=caller_of(request).actor,
            now=utc_now(),
        )
        return _answer(changed)


class ConfigurationView(APIView):
    """What to write into a broker's configuration."""

    scopes = {"GET": "brokers:read"}

    @extend_schema(operation_id="renderListenerProfile", responses=ConfigurationDocument)
    def get(self, request: Request, name: str) -> Response:
        """The texts, and the warnings, the worst first."""
        rendered = services.render_listener_profile(broker=seen(request, name), now=utc_now())
        return Response(
            {
                "files": [{"name": file.name, "text": file.text} for file in rendered.files],
                "warnings": [
                    {"member": each.member, "severity": each.severity.value, "what": each.what, "remedy": each.remedy}
                    for each in rendered.warnings
                ],
            }
        )


def _answer(kept: KeptProfile) -> Response:
    return Response(profile_document(kept.profile), headers=tag_of(kept.version))
