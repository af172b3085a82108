"""`manage.py profile list|show|preview|save|retire|lint`: the certificate profiles of a domain."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from devices.queries import get_domain
from kernel.core.clock import utc_now
from kernel.core.errors import DomainError
from kernel.core.ids import DomainId
from pki.core.certificates import Names
from pki.core.lint_findings import LintFinding, Severity
from pki.core.profile import Profile
from pki.core.profile_documents import parse_profile, profile_document
from pki.management.operator import shell_operator
from pki.queries import find_issuer, find_profile, list_profiles
from pki.services import Preview, preview_certificate, retire_profile, save_profile


class Command(BaseCommand):
    """Shows, tries and changes the profiles of a domain."""

    help = "Shows, tries, lints, saves and retires the certificate profiles of a domain."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """What is done with which profile."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|show|preview|save|retire|lint")
        every = verbs.add_parser("list", help="the profiles that are in use")
        show = verbs.add_parser("show", help="a profile as the JSON document that `save` takes")
        show.add_argument("--version", type=int, dest="number", help="an old version; 0 is the built-in one")
        preview = verbs.add_parser("preview", help="the certificate that a profile would make; nothing is stored")
        preview.add_argument("--document", metavar="FILE", help="try this document in its place; - for standard input")
        preview.add_argument("--issuer", help="slug of the issuer; else one that is made up")
        preview.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a variable")
        preview.add_argument("--dns", action="append", default=[], metavar="NAME", help="a DNS name asked for")
        preview.add_argument("--ip", action="append", default=[], metavar="ADDRESS", help="an IP address asked for")
        save = verbs.add_parser("save", help="makes a document the profile from now on")
        save.add_argument("--expected-version", type=int, help="save only if this version is in use still")
        retire = verbs.add_parser("retire", help="puts the domain's own versions out of use")
        lint = verbs.add_parser("lint", help="looks for faults in what the profiles make; fails if there is an error")
        for verb in (show, preview, save, retire):
            verb.add_argument("name", help="name of the profile")
        lint.add_argument("name", nargs="*", help="names of profiles; all if there is none")
        save.add_argument("file", help="file with the JSON document; - for standard input")
        for verb in (every, show, preview, save, retire, lint):
            verb.add_argument("--domain", default="default", help="slug of the domain (default)")
            verb.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *_args: Any, verb: str, domain: str, **options: Any) -> None:
        """Does it, and prints."""
        try:
            getattr(self, f"_{verb}")(get_domain(slug=domain).id, **options)
        except DomainError as error:
            faults = "".join(f"\n  {fault.pointer}: {fault.detail}" for fault in error.errors)
            raise CommandError(error.detail + faults) from error

    def _list(self, domain: DomainId, *, json: bool, **_: Any) -> None:
        found = list_profiles(domain=domain)
        if json:
            self._print_json([{"name": each.name, "version": each.version} for each in found])
            return
        for each in found:
            kind = "built in" if each.version == 0 else f"version {each.version}"
            self.stdout.write(f"{each.name:<20} {kind:<12} {each.description}")

    def _show(self, domain: DomainId, *, name: str, number: int | None, **_: Any) -> None:
        self._print_json(profile_document(find_profile(domain=domain, name=name, version=number)))

    def _preview(self, domain: DomainId, *, name: str, document: str | None, json: bool, **options: Any) -> None:
        profile = parse_profile(_read(document), name=name) if document else find_profile(domain=domain, name=name)
        preview = preview_certificate(
            issuer=find_issuer(slug=options["issuer"], domains=[domain]).id if options["issuer"] else None,
            profile=profile,
            names=Names(variables=_variables(options["set"]), dns=tuple(options["dns"]), ip=tuple(options["ip"])),
            now=utc_now(),
        )
        if json:
            self._print_json(
                {"certificate": preview.certificate_pem, "findings": [_finding(each) for each in preview.findings]}
            )
            return
        for field in preview.fields:
            critical = " (critical)" if field.critical else ""
            self.stdout.write(f"{field.name}{critical}: {', '.join(field.values)}")
        self._print_findings(name, preview)
        self.stdout.write(preview.certificate_pem, ending="")

    def _save(self, domain: DomainId, *, name: str, file: str, json: bool, **options: Any) -> None:
        state = save_profile(
            domain=domain,
            name=name,
            document=_read(file),
            expected_version=options["expected_version"],
            actor=shell_operator(),
            now=utc_now(),
        )
        if json:
            self._print_json({"name": name, "version": state.profile.version})
        else:
            self.stdout.write(f"The profile {name} is at version {state.profile.version}.")

    def _retire(self, domain: DomainId, *, name: str, json: bool, **_: Any) -> None:
        retire_profile(domain=domain, name=name, actor=shell_operator(), now=utc_now())
        if json:
            self._print_json({"name": name})
        else:
            self.stdout.write(f"The domain's own versions of {name} are retired.")

    def _lint(self, domain: DomainId, *, name: Sequence[str], json: bool, **_: Any) -> None:
        profiles = [find_profile(domain=domain, name=each) for each in name] or list_profiles(domain=domain)
        previews = [(each, preview_certificate(issuer=None, profile=each, now=utc_now())) for each in profiles]
        if json:
            self._print_json([_linted(each, preview) for each, preview in previews])
        else:
            for each, preview in previews:
                self._print_findings(each.name, preview)
        wrong = [each.name for each, preview in previews if _has_error(preview)]
        if wrong:
            raise CommandError(f"There are errors in what these profiles make: {', '.join(wrong)}.")

    def _print_json(self, document: object) -> None:
        self.stdout.write(json.dumps(document, indent=2, ensure_ascii=False))

    def _print_findings(self, name: str, preview: Preview) -> None:
        if not preview.findings:
            self.stdout.write(f"{name}: nothing found by {' and '.join(preview.linters)}.")
        for finding in preview.findings:
            self.stdout.write(f"{name}: {finding.severity.value}: {finding} [{finding.source}]")


def _read(path: str) -> object:
    try:
        return json.loads(sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The document can not be read: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise CommandError(f"The document is no JSON: {error}.") from error


def _variables(words: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise CommandError(f"--set takes NAME=VALUE, not {name!r}.")
    return {name: value for name, _, value in pairs}


def _finding(finding: LintFinding) -> dict[str, str]:
    return {
        "severity": finding.severity.value,
        "code": finding.code,
        "section": finding.section,
        "text": finding.text,
        "source": finding.source,
    }


def _linted(profile: Profile, preview: Preview) -> dict[str, Any]:
    findings = [_finding(finding) for finding in preview.findings]
    return {"name": profile.name, "version": profile.version, "findings": findings, "linters": [*preview.linters]}


def _has_error(preview: Preview) -> bool:
    return any(finding.severity is Severity.ERROR for finding in preview.findings)
