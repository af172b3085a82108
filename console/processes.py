"""The processes of Gatehouse, each as a command line: what `manage.py run` starts and the container images call."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from console.supervisor import Program
from kernel.core.journal import Queue

WEB_THREADS = 8  # a request that asks a broker may take 15 s; each thread more has OCSP wait longer for the GIL
PKI_THREADS = 1  # of a process that answers from memory, and waits for nobody
THREADS = 32  # of a worker; made when they are wanted, and most of them wait for a broker that does not answer


def web_words(*, host: str, port: int, workers: int = 1, only_pki: bool = False) -> list[str]:
    """The web server: granian with our WSGI callable, or with that for the public paths of the PKI alone."""
    options = {
        "--interface": "wsgi",
        "--host": host,
        "--port": str(port),
        "--workers": str(workers),
        "--blocking-threads": str(PKI_THREADS if only_pki else WEB_THREADS),
        "--workers-kill-timeout": "4",
        "--log-level": "error",
    }
    words = [word for pair in options.items() for word in pair]
    callable = f"console.wsgi:{'pki_alone' if only_pki else 'application'}"
    return [sys.executable, "-m", "granian", *words, "--no-ws", "--respawn-failed-workers", callable]


def manage_words(*words: str) -> list[str]:
    """A command of manage.py."""
    return [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), *words]


def worker_words(queues: Sequence[Queue], *, concurrency: int) -> list[str]:
    """A worker for these queues."""
    return manage_words("worker", "--queues", ",".join(queues), "--concurrency", str(concurrency))


def all_programs(*, broker: Sequence[str] | None) -> list[Program]:
    """What `manage.py run` starts, `broker` being the embedded one's command line.

    Revocations have a worker of their own, so that nothing delays them.
    """
    others = [queue for queue in Queue if queue is not Queue.REVOCATION]
    programs = [
        Program(name="web", words=web_words(host="127.0.0.1", port=settings.GATEHOUSE_PORT)),
        Program(name="worker-revocation", words=worker_words([Queue.REVOCATION], concurrency=THREADS)),
        Program(name="worker", words=worker_words(others, concurrency=THREADS)),
        Program(name="beat", words=manage_words("beat")),
        Program(name="listen", words=manage_words("listen")),
    ]
    return [Program(name="broker", words=broker), *programs] if broker else programs
