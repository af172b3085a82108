"""The lines to paste that enrol a device: for terminals, with openssl and curl."""

from __future__ import annotations

import shlex

from console.conf import base_url

TOKEN_PLACEHOLDER = "<enrolment token>"  # noqa: S105 - it stands where a token belongs


def enrolment_lines(*, token: str = "", name: str = "pump-17") -> str:
    """Shell lines: make a key and a CSR, send it, keep what comes back. Without a token its place is marked."""
    bearer = token or TOKEN_PLACEHOLDER
    body = f'{{\\"name\\": \\"{name}\\", \\"csr\\": \\"$(awk \'{{printf "%s\\\\n", $0}}\' {name}.csr)\\"}}'
    keep = (
        f'import json; a = json.load(open("{name}.json")); '
        f'open("{name}.pem", "w").write(a["certificate"] + a["chain"]); open("trust.pem", "w").write(a["trust_bundle"])'
    )
    return "\n".join(
        (
            f"openssl ecparam -genkey -name prime256v1 -noout -out {name}.key",
            f"openssl req -new -key {name}.key -subj /CN={name} -out {name}.csr",
            f"curl -sS --fail-with-body {shlex.quote(base_url() + '/api/v1/enroll/')} -o {name}.json \\",
            f"  -H 'Authorization: Bearer {bearer}' -H 'Content-Type: application/json' \\",
            f'  -d "{body}"',
            f"python3 -c {shlex.quote(keep)}",
        )
    )
