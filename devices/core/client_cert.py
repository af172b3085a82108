"""The certificate that a client showed to the proxy that ended its TLS, as the proxy hands it over (RFC 9440)."""

from __future__ import annotations

import base64

from cryptography import x509

from devices.core.proof import BadProof


def read_client_cert(field: str) -> x509.Certificate:
    """The certificate in the field `Client-Cert`. Raises BadProof."""
    try:
        item = field.strip()
        if not (len(item) > 2 and item[0] == item[-1] == ":"):
            raise ValueError("not a byte sequence")
        return x509.load_der_x509_certificate(base64.b64decode(item[1:-1], validate=True))
    except (ValueError, x509.InvalidVersion) as error:
        raise BadProof("The proxy's header with the client's certificate is not as RFC 9440 writes it.") from error
