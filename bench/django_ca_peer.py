"""The peer: django-ca's own manager issues certificates for requests. Run by a Python that has django-ca, not ours.

`python django_ca_peer.py FOLDER`: FOLDER/requests.json is a list of PEM; the CPU seconds that they took are printed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main(folder: Path) -> None:
    """Prints one JSON object."""
    _configure(folder)
    from cryptography import x509
    from cryptography.x509.oid import NameOID
    from django.core.management import call_command
    from django_ca.models import Certificate, CertificateAuthority  # type: ignore[import-not-found]

    call_command("migrate", verbosity=0)
    call_command("init_ca", "Peer", "CN=Peer CA", "--key-type=EC", "--elliptic-curve=secp256r1")
    ca: Any = CertificateAuthority.objects.get()
    options = ca.key_backend.get_use_private_key_options(ca, {})
    texts = json.loads((folder / "requests.json").read_text())
    runs = []
    for chunk in (texts[start : start + len(texts) // 5] for start in range(0, len(texts) // 5 * 5, len(texts) // 5)):
        before = time.process_time()
        for text in chunk:
            csr = x509.load_pem_x509_csr(text.encode())
            name = str(csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
            san = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:peer:{name}")])
            extension = x509.Extension(san.oid, critical=False, value=san)
            Certificate.objects.create_cert(
                ca,
                options,
                csr,
                subject=csr.subject,
                extensions=[extension],
                add_crl_url=True,
                add_ocsp_url=True,
                add_issuer_url=True,
            )
        runs.append(len(chunk) / (time.process_time() - before))
    print(json.dumps({"per_cpu_second": sorted(runs)[2], "runs": runs}))


def _configure(folder: Path) -> None:
    import django
    from django.conf import settings

    os.chdir(folder)
    sys.path.insert(0, str(folder))
    (folder / "peer_urls.py").write_text(
        "from django.urls import include, path\nurlpatterns = [path('django_ca/', include('django_ca.urls'))]\n"
    )
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_ca"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "peer.sqlite3")}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SECRET_KEY="a peer in a benchmark",
        USE_TZ=True,
        CA_DIR=str(folder / "files"),
        CA_DEFAULT_HOSTNAME="127.0.0.1:8000",
        ROOT_URLCONF="peer_urls",
        STORAGES={
            "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
            "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
            "django-ca": {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": str(folder / "files"), "file_permissions_mode": 0o600},
            },
        },
    )
    django.setup()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
