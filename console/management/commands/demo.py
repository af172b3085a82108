"""`manage.py demo`: starts Gatehouse in a folder of its own and lets a simulated fleet live in it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from console.demo.api import Api
from console.demo.story import Story


class Command(BaseCommand):
    """Enrols, connects, publishes, is refused, is revoked; with --once it ends there, else the fleet lives on."""

    help = "Runs Gatehouse with a simulated fleet: 500 devices enrol, connect, publish, get refused, one is revoked."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--devices", type=int, default=500, help="how many devices (default 500)")
        parser.add_argument("--once", action="store_true", help="end after the story instead of living on")

    def handle(self, *_args: Any, devices: int, once: bool, **_options: Any) -> None:
        facts = json.loads(self._quickstart())
        secret = facts["application"].get("client_secret")
        kept = settings.GATEHOUSE_HOME / "demo.json"
        if secret:
            kept.touch(mode=0o600)
            kept.write_text(json.dumps(facts))
        elif kept.exists():
            facts = json.loads(kept.read_text())
        else:
            raise CommandError(
                "This installation is in use already. Give the demonstration a folder of its own: "
                "GATEHOUSE_HOME=var-demo make demo"
            )
        parent = subprocess.Popen([sys.executable, "manage.py", "run"], cwd=settings.BASE_DIR, start_new_session=True)
        try:
            self._wait_ready(parent)
            good = self._tell(facts, devices=devices, once=once)
        finally:
            os.killpg(parent.pid, signal.SIGINT)
            parent.wait(20)
        if not good:
            raise CommandError("Something did not go as it has to: see above.")

    def _quickstart(self) -> str:
        words = [sys.executable, "manage.py", "quickstart", "--json"]
        return subprocess.run(words, cwd=settings.BASE_DIR, check=True, stdout=subprocess.PIPE, text=True).stdout

    def _wait_ready(self, parent: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and parent.poll() is None:
            try:
                if requests.get(f"{settings.GATEHOUSE_BASE_URL}/readyz", timeout=2).ok:
                    return
            except requests.ConnectionError:
                pass
            time.sleep(0.1)
        raise CommandError("Gatehouse did not come up: see its lines above.")

    def _tell(self, facts: dict[str, Any], *, devices: int, once: bool) -> bool:
        application = facts["application"]
        api = Api(
            url=settings.GATEHOUSE_BASE_URL,
            client_id=application["client_id"],
            client_secret=application["client_secret"],
        )
        prefix = f"demo{int(time.time()) % 100_000:05}"
        story = Story(api=api, domain=facts["domain"], size=devices, prefix=prefix)
        good = True
        for seen in story.play():
            mark = self.style.SUCCESS("  ok  ") if seen.good else self.style.ERROR(" FAIL ")
            self.stdout.write(f"{mark} {seen.text}")
            good = good and seen.good
        if not once:
            self.stdout.write(f"\nThe fleet lives on: {settings.GATEHOUSE_BASE_URL} (Ctrl-C ends it)")
            self._live(story)
        story.end()
        return good

    def _live(self, story: Story) -> None:
        try:
            while True:
                story.breathe()
                time.sleep(1)
        except KeyboardInterrupt:
            self.stdout.write("ending")
