"""The peers: bare granian, `openssl ocsp` with an index of the same million, and django-ca in a venv of its own."""

from __future__ import annotations

import contextlib
import os
import random
import re
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bench.ocsp_house import free_port, web
from bench.ocsp_questions import Questions
from console.processes import web_words
from pki.core.keys import key_to_der
from tests.pki.core.making import make_ca

SHELF = 100_000
"""How many certificates django-ca has; fewer than ours only makes it faster."""
WARM = 5_000
"""About so few of them it is asked for its best case, in which all its answers are in its process's cache."""

BARE = """
BODY = bytes(1500)
HEADERS = [("Content-Type", "application/ocsp-response"), ("Content-Length", "1500")]
def application(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", HEADERS)
    return [BODY]
"""


def granian_words(
    port: int, application: str, *, workers: int = 1, only_pki: bool = False, python: str = sys.executable
) -> list[str]:
    """The command line of our web processes, or of those for the PKI alone, with another application."""
    return [python, *web_words(host="127.0.0.1", port=port, workers=workers, only_pki=only_pki)[1:-1], application]


@contextlib.contextmanager
def bare_granian(folder: Path, *, only_pki: bool) -> Iterator[tuple[int, int]]:
    """Port and process of a server, with as many threads as ours, that answers 1.5 kB and does nothing else."""
    (folder / "bare.py").write_text(BARE)
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)}
    with web(environment, granian_words(port, "bare:application", only_pki=only_pki), port, cwd=folder) as process:
        yield port, process


@contextlib.contextmanager
def openssl_ocsp(folder: Path, serials: Sequence[int]) -> Iterator[tuple[int, int, Questions]]:
    """Port, process and questions of `openssl ocsp`, with a P-256 key and an index of those serial numbers."""
    ca = make_ca()
    pem = ca.certificate.public_bytes(Encoding.PEM)
    (folder / "ca.pem").write_bytes(pem)
    (folder / "ca.der").write_bytes(key_to_der(ca.key))
    subprocess.run(
        ["openssl", "pkey", "-inform", "DER", "-in", "ca.der", "-out", "ca.key"], cwd=folder, check=True, timeout=60
    )
    ends = (datetime.now(UTC) + timedelta(days=300)).strftime("%y%m%d%H%M%SZ")
    with (folder / "index.txt").open("w") as index:
        index.writelines(f"V\t{ends}\t\t{serial:040X}\tunknown\t/CN={serial:x}\n" for serial in serials)
    (folder / "index.txt.attr").write_text("unique_subject = no\n")
    port = free_port()
    words = ["openssl", "ocsp", "-index", "index.txt", "-port", str(port), "-rsigner", "ca.pem", "-rkey", "ca.key"]
    words += ["-CA", "ca.pem", "-ndays", "1"]
    with web({"PATH": os.environ["PATH"]}, words, port, cwd=folder) as process:
        yield port, process, Questions(ca.certificate, "/", serials)


class DjangoCa:
    """An installation of django-ca in `folder`, with SQLite and its own project. Raises OSError, CalledProcessError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, timeout=300)
        self.python = str(folder / "venv/bin/python")
        wanted = ["django-ca", f"granian=={version('granian')}"]
        self._run("-m", "pip", "install", "-q", *wanted)
        for name, text in {"settings.py": SETTINGS, "urls.py": URLS, "wsgi.py": WSGI}.items():
            (folder / name).write_text(textwrap.dedent(text))
        self._run("-m", "django", "migrate", "-v", "0")
        self._run("-m", "django", "init_ca", "--key-type", "EC", "--elliptic-curve", "secp256r1", "bench", "CN=bench")
        csr = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -subj /CN=leaf -out leaf.csr"
        subprocess.run(["openssl", *csr.split()], cwd=folder, check=True, capture_output=True, timeout=60)
        words = "sign_cert --ca bench --csr leaf.csr --subject CN=leaf.example --subject-alternative-name"
        self._run("-m", "django", *words.split(), "DNS:leaf.example", CACHED="1")
        self.version = re.sub(r"\s", "", self._run("-c", "import django_ca; print(django_ca.__version__)"))
        self.serials = self._multiply()

    def _run(self, *words: str, **more: str) -> str:
        done = subprocess.run(
            [self.python, *words], cwd=self.folder, env=self.environment | more, check=True,
            capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        """Of its processes."""
        return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(self.folder)} | {
            "DJANGO_SETTINGS_MODULE": "settings"
        }

    def _multiply(self) -> list[int]:
        """Many rows like the one certificate, each with the answer that it made ahead for that one."""
        serials = [1 << 158 | random.getrandbits(158) for _ in range(SHELF)]
        with contextlib.closing(sqlite3.connect(self.folder / "db.sqlite3")) as session, session:
            names = [row[1] for row in session.execute("PRAGMA table_info(django_ca_certificate)")]
            names = [name for name in names if name not in {"id", "serial"}]
            columns = ", ".join(names)
            session.executemany(
                f"INSERT INTO django_ca_certificate ({columns}, serial) SELECT {columns}, ? FROM django_ca_certificate "
                "WHERE ocsp_response IS NOT NULL ORDER BY id LIMIT 1",
                ((f"{serial:X}",) for serial in serials),
            )
            [(self.ca,)] = session.execute("SELECT serial FROM django_ca_certificateauthority")
            [(pem,)] = session.execute("SELECT pub FROM django_ca_certificateauthority")
        self.issuer = x509.load_der_x509_certificate(pem)
        return serials

    @contextlib.contextmanager
    def serve(self, *, cached: bool, asked: int) -> Iterator[tuple[int, int, Questions]]:
        """Port, process and questions, about `asked` certificates, of its responder under granian."""
        port = free_port()
        environment = self.environment | ({"CACHED": "1"} if cached else {})
        words = granian_words(port, "wsgi:application", only_pki=True, python=self.python)
        with web(environment, words, port, cwd=self.folder) as it:
            yield port, it, Questions(self.issuer, f"/django_ca/ocsp/{self.ca}/cert/", self.serials[:asked])


_MIDDLEWARE = (
    "security.SecurityMiddleware", "common.CommonMiddleware", "csrf.CsrfViewMiddleware",
    "clickjacking.XFrameOptionsMiddleware",
)  # fmt: skip
SETTINGS = f"""
import os
BASE = os.path.dirname(os.path.abspath(__file__))
SECRET_KEY = "bench"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DJANGO = ["admin", "auth", "contenttypes", "messages", "sessions"]
INSTALLED_APPS = [*("django.contrib." + name for name in DJANGO), "django_object_actions", "django_ca"]
DATABASES = {{
    "default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": BASE + "/db.sqlite3", "CONN_MAX_AGE": None}}
}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "urls"
MIDDLEWARE = [*("django.middleware." + name for name in {_MIDDLEWARE}),
    "django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware"]
LOCAL = "django.core.cache.backends.locmem.LocMemCache"
CACHES = {{"default": {{"BACKEND": LOCAL, "OPTIONS": {{"MAX_ENTRIES": 2_000_000}}}}}}
FILES = {{"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {{"location": BASE + "/files"}}}}
STATIC = {{"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
STORAGES = {{"default": FILES, "django-ca": FILES, "staticfiles": STATIC}}
WORDS = ["django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]
TEMPLATES = [{{
    "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
    "OPTIONS": {{"context_processors": ["django.template.context_processors.request", *WORDS]}},
}}]
CA_DEFAULT_HOSTNAME = "127.0.0.1"
CA_USE_CELERY = False
if os.environ.get("CACHED"):
    CA_OCSP_RESPONSE_CACHE_EXPIRES = 86_400
LOGGING = {{"version": 1, "disable_existing_loggers": True}}
"""
URLS = """
from django.urls import include, path
urlpatterns = [path("django_ca/", include("django_ca.urls"))]
"""
WSGI = """
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""
