"""/api/v1/enroll/ and /api/v1/renew/: the calls that devices make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cryptography import x509
from django.core.exceptions import RequestDataTooBig
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from devices import services
from devices.api.documents import PermissionDocument, enrolment_document
from devices.conf import base_url, client_cert_header
from devices.core.client_cert import read_client_cert
from devices.core.proof import Proof, verify_proof
from devices.core.tokens import TokenRefused, split_token
from kernel.api.address import is_trusted_proxy, peer_address
from kernel.api.documents import StrictDocument, body_of
from kernel.api.failures import CACHE_FAULTS, check_failures, check_failures_of, note_failure
from kernel.core.clock import utc_now
from kernel.core.errors import Unauthenticated
from pki.core.csr import inspect_csr

MAX_BODY = 65_536
RETRY_AFTER_SECONDS = 30


class EnrollDocument(StrictDocument):
    """A device's wish. Without `name` the common name of the CSR is taken."""

    csr = serializers.CharField(trim_whitespace=False, max_length=20_000)
    name = serializers.CharField(trim_whitespace=False, allow_null=True, allow_blank=True, default=None, max_length=512)
    hardware_serial = serializers.CharField(allow_blank=True, default="", max_length=512)
    attributes = serializers.DictField(default=dict)


class RenewDocument(StrictDocument):
    """The request for the next certificate."""

    csr = serializers.CharField(trim_whitespace=False, max_length=20_000)


class EndpointDocument(serializers.Serializer[dict[str, object]]):
    """A broker's listener."""

    name = serializers.CharField()
    host = serializers.CharField()
    port = serializers.IntegerField()
    transport = serializers.CharField()
    protocol_versions = serializers.ListField(child=serializers.CharField())


class EnrolmentDocument(serializers.Serializer[dict[str, object]]):
    """What a device, or an application, gets. Certificates are PEM."""

    device = serializers.UUIDField(required=False)
    application = serializers.UUIDField(required=False)
    auth_id = serializers.CharField()
    client_id = serializers.CharField()
    certificate = serializers.CharField()
    chain = serializers.CharField()
    trust_bundle = serializers.CharField()
    not_after = serializers.DateTimeField()
    renew_after = serializers.DateTimeField()
    brokers = EndpointDocument(many=True)
    permissions = PermissionDocument(many=True)


class PendingDocument(serializers.Serializer[dict[str, object]]):
    """The wish waits for an operator."""

    request = serializers.UUIDField()


class EnrollView(APIView):
    """Enrolment by token."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="enroll",
        request=EnrollDocument,
        responses={201: EnrolmentDocument, 202: OpenApiResponse(PendingDocument, description="It waits for approval.")},
        auth=["enrolmentToken"],
    )
    def post(self, request: Request) -> Response:
        """The device with its certificate; the same call again gives the same answer."""
        token = _credentials(request, "bearer")
        if token is None:
            raise TokenRefused("Send the enrolment token as `Authorization: Bearer <token>`.")
        _check_length(request)
        body = body_of(EnrollDocument, request)
        with _counted(token, address := peer_address(request)):
            outcome = services.enroll_device(token=token, address=address, now=utc_now(), **body)
        if isinstance(outcome, services.Pending):
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return Response({"request": str(outcome.request)}, status=202, headers=headers)
        return Response(enrolment_document(outcome), status=201)


class RenewView(APIView):
    """Renewal by proof of the current key."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(operation_id="renew", request=RenewDocument, responses={201: EnrolmentDocument}, auth=["proof"])
    def post(self, request: Request) -> Response:
        """The device with its next certificate."""
        _check_length(request)
        body = body_of(RenewDocument, request)
        inspect_csr(body["csr"].encode())
        proof = _proof(request, csr=body["csr"])
        renewed = services.renew_credential(
            chain=proof.chain if proof else _presented_to_proxy(request),
            proof=proof,
            csr=body["csr"],
            address=peer_address(request),
            now=utc_now(),
        )
        return Response(enrolment_document(renewed), status=201)


def _proof(request: Request, *, csr: str) -> Proof | None:
    """The proof by a JWS, if there is one."""
    text = _credentials(request, "proof")
    if text is None:
        return None
    return verify_proof(text, audience=f"{base_url()}/api/v1/renew/", csr=csr.encode(), now=utc_now())


def _presented_to_proxy(request: Request) -> tuple[x509.Certificate, ...]:
    """The certificate whose key was proved to a trusted proxy that ended mutual TLS (RFC 9440)."""
    header = request.headers.get(client_cert_header())
    if header is None or not is_trusted_proxy(request):
        raise Unauthenticated(
            "Prove the current key: by mutual TLS, or with `Authorization: Proof <JWS>` signed by it.",
            code="proof-required",
        )
    return (read_client_cert(header),)


@contextmanager
def _counted(token: str, address: str) -> Iterator[None]:
    """Who shows wrong tokens has to wait. Raises TooManyFailures.

    A genuine token is held up by wrong secrets of its own from there alone, and by no neighbour behind one address:
    nobody guesses 128 bits. Where nothing can be counted they are looked at all the same.
    """
    told = {"door": "enroll", "address": address}
    client = str(split_token(token)[0])  # however it is spelled
    with suppress(*CACHE_FAULTS):
        check_failures_of(client=client, **told)
    try:
        yield
    except TokenRefused:
        with suppress(*CACHE_FAULTS):
            note_failure(client=client, **told)
            check_failures(**told)
        raise


def _credentials(request: Request, scheme: str) -> str | None:
    given, _, credentials = request.headers.get("Authorization", "").partition(" ")
    return credentials.strip() if given.lower() == scheme and credentials.strip() else None


def _check_length(request: Request) -> None:
    length = str(request.META.get("CONTENT_LENGTH") or "0")
    if not length.isdigit() or int(length) > MAX_BODY:
        raise RequestDataTooBig(f"The body is larger than {MAX_BODY} octets: send one request alone.")
