"""The cipher suites of TLS 1.2 that a listener may be told to take, by the names that brokers know them by.

Those of TLS 1.3 are all good, and left alone. Names: RFC 5288, 5289, 5246, 7905, and OpenSSL's ciphers(1).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class CipherSuite(StrEnum):
    """Suites by OpenSSL's names, which Erlang knows too; the better first."""

    ECDHE_ECDSA_AES128_GCM = "ECDHE-ECDSA-AES128-GCM-SHA256"
    ECDHE_ECDSA_AES256_GCM = "ECDHE-ECDSA-AES256-GCM-SHA384"
    ECDHE_ECDSA_CHACHA20 = "ECDHE-ECDSA-CHACHA20-POLY1305"
    ECDHE_RSA_AES128_GCM = "ECDHE-RSA-AES128-GCM-SHA256"
    ECDHE_RSA_AES256_GCM = "ECDHE-RSA-AES256-GCM-SHA384"
    ECDHE_RSA_CHACHA20 = "ECDHE-RSA-CHACHA20-POLY1305"
    ECDHE_ECDSA_AES128_CBC = "ECDHE-ECDSA-AES128-SHA256"
    ECDHE_RSA_AES128_CBC = "ECDHE-RSA-AES128-SHA256"
    RSA_AES128_GCM = "AES128-GCM-SHA256"
    RSA_AES256_GCM = "AES256-GCM-SHA384"

    @property
    def forward_secret(self) -> bool:
        """Whether who gets the server's key later can not read what was said before."""
        return self.value.startswith("ECDHE-")

    @property
    def authenticated(self) -> bool:
        """Whether it encrypts and authenticates in one (AEAD), which no padding oracle threatens."""
        return "-GCM-" in self.value or "-CHACHA20-" in self.value

    @property
    def registered_name(self) -> str:
        """Its name in IANA's registry, which Java and Go know it by."""
        return _REGISTERED[self]


_REGISTERED: Mapping[CipherSuite, str] = {
    CipherSuite.ECDHE_ECDSA_AES128_GCM: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    CipherSuite.ECDHE_ECDSA_AES256_GCM: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    CipherSuite.ECDHE_ECDSA_CHACHA20: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    CipherSuite.ECDHE_RSA_AES128_GCM: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    CipherSuite.ECDHE_RSA_AES256_GCM: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    CipherSuite.ECDHE_RSA_CHACHA20: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    CipherSuite.ECDHE_ECDSA_AES128_CBC: "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    CipherSuite.ECDHE_RSA_AES128_CBC: "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    CipherSuite.RSA_AES128_GCM: "TLS_RSA_WITH_AES_128_GCM_SHA256",
    CipherSuite.RSA_AES256_GCM: "TLS_RSA_WITH_AES_256_GCM_SHA384",
}
