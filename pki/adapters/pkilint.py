"""The linter pkilint, where it is installed: not in production. It takes 3 ms a certificate."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pki.core.lint_findings import LintFinding, Severity

EXEMPT = {"pkix.invalid_uri_syntax"}
"""It calls every URI invalid that is no web address; RFC 5280 4.2.1.6 asks for a scheme, and RFC 8141 has `urn:`."""

_SEVERITIES = {
    "FATAL": Severity.ERROR,
    "ERROR": Severity.ERROR,
    "WARNING": Severity.WARNING,
    "NOTICE": Severity.NOTICE,
}


def is_installed() -> bool:
    """Whether there is a pkilint to ask."""
    return find_spec("pkilint") is not None


def lint_with_pkilint(certificate: bytes) -> list[LintFinding]:
    """What pkilint's PKIX rules find in the DER of a certificate, from a notice on, but for what is exempt."""
    document = import_module("pkilint.loader").load_certificate(certificate, "certificate")
    results = _validator().validate(document.root)
    return [
        LintFinding(
            severity=_SEVERITIES[told.finding.severity.name],
            code=told.finding.code,
            section="",
            text=told.message or f"at {result.node.path}",
            source="pkilint",
        )
        for result in results
        for told in result.finding_descriptions
        if told.finding.severity.name in _SEVERITIES and told.finding.code not in EXEMPT
    ]


@cache
def _validator() -> Any:
    """The validators of pkilint's own `lint_pkix_cert`."""
    certificate = import_module("pkilint.pkix.certificate")
    names, extensions = import_module("pkilint.pkix.name"), import_module("pkilint.pkix.extension")
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(names.ATTRIBUTE_TYPE_MAPPINGS, extensions.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )
