"""`manage.py web`: console, API and public paths over HTTP."""

from __future__ import annotations

import argparse
import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from console.processes import web_words
from console.starting import refuse_unknown_master_key
from console.static_files import collect_static_files


class Command(BaseCommand):
    """Becomes the web server."""

    help = "Serves console and API over HTTP."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1)")
        parser.add_argument("--port", type=int, default=settings.GATEHOUSE_PORT, help="default: GATEHOUSE_PORT")
        parser.add_argument("--workers", type=int, default=1, help="how many processes (default 1)")
        parser.add_argument(
            "--only-pki",
            action="store_true",
            help="serve OCSP, CRLs and issuer certificates alone, one request at a time in each process",
        )

    def handle(self, *_args: Any, host: str, port: int, workers: int, only_pki: bool, **_options: Any) -> None:
        refuse_unknown_master_key()
        collect_static_files()
        words = web_words(host=host, port=port, workers=workers, only_pki=only_pki)
        os.execv(words[0], words)  # noqa: S606 - a list, as everywhere
