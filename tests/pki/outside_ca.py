"""A CA that openssl keeps: the one outside of Gatehouse."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.pki.conftest import openssl

CONFIGURATION = """
[ca]
default_ca = here
[here]
dir = {folder}
database = $dir/index.txt
serial = $dir/serial
crlnumber = $dir/crlnumber
new_certs_dir = $dir/certs
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
default_days = 400
default_crl_days = 30
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
organizationName = optional
organizationalUnitName = optional
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[sub]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[cross]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[open_sub]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[not_ca]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
[no_crl_sign]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
[req]
distinguished_name = empty
prompt = no
[empty]
"""

P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


@dataclass(frozen=True)
class OutsideCa:
    """`openssl ca` in a folder of its own."""

    folder: Path
    name: str

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def key(self) -> Path:
        return self.folder / "ca.key"

    @property
    def configuration(self) -> Path:
        return self.folder / "openssl.cnf"

    def sign(self, csr: Path, *, extensions: str, options: tuple[str, ...] = ()) -> Path:
        """The certificate for the request, in PEM."""
        out = csr.with_suffix(".pem")
        openssl("ca", "-batch", "-config", self.configuration, "-in", csr, "-out", out, "-notext",
                "-extensions", extensions, *options)  # fmt: skip
        return out

    def request(self, name: str, *, kind: tuple[str, ...] = P256) -> Path:
        """A request with a fresh key beside it."""
        csr = self.folder / f"{name}.csr"
        openssl("req", "-new", *kind, "-nodes", "-keyout", csr.with_suffix(".key"), "-subj", f"/CN={name}", "-out", csr)
        return csr

    def revoke(self, certificate: Path, reason: str) -> None:
        openssl("ca", "-config", self.configuration, "-revoke", certificate, "-crl_reason", reason)

    def crl(self) -> Path:
        out = self.folder / "crl.pem"
        openssl("ca", "-config", self.configuration, "-gencrl", "-out", out)
        return out

    def below(self, name: str, *, extensions: str = "sub", kind: tuple[str, ...] = P256) -> OutsideCa:
        """A CA below this one."""
        csr = self.request(name, kind=kind)
        certificate = self.sign(csr, extensions=extensions)
        return _kept(self.folder.parent / name, name, certificate, csr.with_suffix(".key"))


def outside_root(folder: Path, name: str, *, kind: tuple[str, ...] = P256, days: int = 3650) -> OutsideCa:
    """A fresh root."""
    home = folder / name
    home.mkdir()
    config = home / "openssl.cnf"
    config.write_text(CONFIGURATION.format(folder=home))
    key, certificate = home / "made.key", home / "made.pem"
    openssl("req", "-x509", "-new", *kind, "-nodes", "-keyout", key, "-out", certificate, "-config", config,
            "-subj", f"/O=Outside/CN={name}", "-extensions", "root", "-days", str(days))  # fmt: skip
    return _kept(home, name, certificate, key)


def _kept(home: Path, name: str, certificate: Path, key: Path) -> OutsideCa:
    home.mkdir(exist_ok=True)
    (home / "certs").mkdir()
    (home / "index.txt").touch()
    (home / "serial").write_text("1000\n")
    (home / "crlnumber").write_text("29\n")
    (home / "openssl.cnf").write_text(CONFIGURATION.format(folder=home))
    (home / "ca.pem").write_bytes(certificate.read_bytes())
    (home / "ca.key").write_bytes(key.read_bytes())
    return OutsideCa(home, name)


def verify(leaf: Path, *, roots: list[Path], others: list[Path] = [], options: tuple[str, ...] = ()) -> str:  # noqa: B006
    """What `openssl verify` says."""
    trusted, untrusted = leaf.with_name("roots.pem"), leaf.with_name("others.pem")
    trusted.write_text("".join(path.read_text() for path in roots))
    untrusted.write_text("".join(path.read_text() for path in others))
    words = ["openssl", "verify", "-CAfile", trusted, *(["-untrusted", untrusted] if others else []), *options, leaf]
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr
