"""/api/v1/brokers/<name>/server-certificate/ and /trust-bundle/"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from brokers import services
from brokers.api.views import seen
from brokers.services.certify_server import ServerChain
from kernel.api.documents import StrictDocument, body_of, caller_of
from kernel.core.clock import to_rfc3339, utc_now

_MOST_CSR = 20_000


class ServerRequestDocument(StrictDocument):
    """A request that was made beside the broker, so that its key never leaves it."""

    csr = serializers.CharField(max_length=_MOST_CSR, help_text="PKCS#10, PEM.")


class ServerCertificateDocument(serializers.Serializer[Any]):
    """A broker's own certificate. `chain_pem` is what it has to show; `missing` are its hosts that it does not name."""

    id = serializers.UUIDField()
    serial = serializers.CharField()
    issuer = serializers.CharField()
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    chain_pem = serializers.CharField()
    missing = serializers.ListField(child=serializers.CharField())


class ServerCertificateStateDocument(serializers.Serializer[Any]):
    """The certificate, or null if Gatehouse issued none that is not revoked."""

    certificate = ServerCertificateDocument(allow_null=True)


class TrustedIssuerDocument(serializers.Serializer[Any]):
    """A CA that devices have to trust."""

    slug = serializers.CharField()
    name = serializers.CharField()
    state = serializers.CharField()
    is_root = serializers.BooleanField()
    not_after = serializers.DateTimeField()


class TrustBundleDocument(serializers.Serializer[Any]):
    """What devices trust: PEM of the CAs and of the link certificates between roots."""

    pem = serializers.CharField()
    issuers = TrustedIssuerDocument(many=True)
    link_count = serializers.IntegerField()


class ServerCertificateView(APIView):
    """What a broker shows to devices. Issuing takes another scope than naming its hosts: nobody gets any name alone."""

    scopes = {"GET": "brokers:read", "POST": "issuers:sign"}

    @extend_schema(operation_id="getServerCertificate", responses=ServerCertificateStateDocument)
    def get(self, request: Request, name: str) -> Response:
        """The newest that is not revoked."""
        found = services.server_chain_of(broker=seen(request, name), now=utc_now())
        return Response({"certificate": _document(found) if found else None})

    @extend_schema(
        operation_id="certifyServer", request=ServerRequestDocument, responses={201: ServerCertificateStateDocument}
    )
    def post(self, request: Request, name: str) -> Response:
        """The new certificate; what the broker has already stays good beside it."""
        broker = seen(request, name)
        csr = body_of(ServerRequestDocument, request)["csr"].encode()
        made = services.certify_server(broker=broker.id, csr=csr, actor=caller_of(request).actor, now=utc_now())
        return Response({"certificate": _document(made)}, status=201)


class TrustBundleView(APIView):
    """What devices of a broker trust."""

    scopes = {"GET": "brokers:read"}

    @extend_schema(operation_id="getTrustBundle", responses=TrustBundleDocument)
    def get(self, request: Request, name: str) -> Response:
        """The bundle as it is now: a new CA is in it before it is needed."""
        bundle = services.trust_bundle_of(broker=seen(request, name), now=utc_now())
        issuers = [
            {
                "slug": issuer.slug,
                "name": issuer.name,
                "state": issuer.state.value,
                "is_root": issuer.parent is None,
                "not_after": to_rfc3339(issuer.not_after),
            }
            for issuer in bundle.issuers
        ]
        return Response({"pem": bundle.pem, "issuers": issuers, "link_count": bundle.link_count})


def _document(chain: ServerChain) -> dict[str, object]:
    issued = chain.certificate
    return {
        "id": str(issued.id),
        "serial": issued.serial_hex,
        "issuer": issued.issuer_slug,
        "not_before": to_rfc3339(issued.not_before),
        "not_after": to_rfc3339(issued.not_after),
        "chain_pem": chain.chain_pem,
        "missing": list(chain.missing),
    }
