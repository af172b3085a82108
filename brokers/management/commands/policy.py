"""`manage.py policy explain|who-can|compile|export|import|diff`: what policy says, and why; and policy as a file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from acl.core.values import Action, Publish, Subscribe
from brokers import services
from brokers.api.serializers import explanation_document, who_can_document
from brokers.core.targets import TARGETS
from brokers.management import policy_files
from brokers.services.compiling import WiderThanPolicy
from devices import queries as devices
from devices.management.operator import shell_operator
from kernel.core.clock import utc_now
from kernel.core.errors import DomainError

_BOUNDS = (("from", "not_before"), ("until", "not_after"))


class Command(BaseCommand):
    """Asks the policy engine, as the API does."""

    help = "Explains whether a device may, lists who can, and keeps policy in a file."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        explain = verbs.add_parser("explain", help="may this device do that, and why?")
        explain.add_argument("device", help="the device's name")
        explain.add_argument("--qos", type=int, choices=(0, 1, 2), default=0)
        explain.add_argument("--retain", action="store_true")
        who_can = verbs.add_parser("who-can", help="which devices may do that?")
        for command in (explain, who_can):
            command.add_argument("action", choices=[action.value for action in Action])
            command.add_argument("topic", help="topic name, or filter; $share/<group>/<filter> for a shared one")
            command.add_argument("--domain", default="default", help="slug of the domain")
            command.add_argument("--json", action="store_true", help="print JSON")
        compiled = verbs.add_parser("compile", help="policy as a broker takes it, on standard output")
        compiled.add_argument("target", help=f"one of {', '.join(TARGETS)}")
        compiled.add_argument("--domain", default="default", help="slug of the domain")
        compiled.add_argument(
            "--accept", action="append", default=[], metavar="ID", help="a deviation by which it may allow more"
        )
        compiled.add_argument("--json", action="store_true", help="print JSON: artifact, deviations and warnings")
        policy_files.add_verbs(verbs)

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        if verb in policy_files.VERBS:
            policy_files.run(self, verb, **options)
            return
        work: dict[str, Callable[..., None]] = {
            "explain": self._explain,
            "who-can": self._who_can,
            "compile": self._compile,
        }
        try:
            work[verb](**options)
        except DomainError as error:
            raise CommandError(error.detail) from error

    def _explain(
        self, *, device: str, action: str, topic: str, domain: str, qos: int, retain: bool, **options: Any
    ) -> None:
        found = devices.find_principal_by_name(domain=devices.get_domain(slug=domain).id, name=device)
        if found is None:
            raise CommandError(f"There is no device or application {device} in the domain {domain}.")
        publishes = action == Action.PUBLISH
        request = Publish(topic=topic, qos=qos, retain=retain) if publishes else Subscribe.parse(topic, qos=qos)
        told = explanation_document(services.explain_request(device=found.id, request=request, now=utc_now()))
        if options["json"]:
            self.stdout.write(json.dumps(told))
            return
        self.stdout.write(f"{told['verdict']}: {told['reason']}")
        for rule in told["considered"]:
            self.stdout.write(f"  {rule['filter']}: {rule['why']}")
        for each in told["not_now"]:
            bounds = " ".join(f"{word} {each[name]}" for word, name in _BOUNDS if each[name])
            self.stdout.write(f"  not considered: {each['role']}, given to the {each['via']} {each['target']} {bounds}")
        if told["rollout"]:
            self.stdout.write(f"  {told['rollout']}")

    def _compile(self, *, target: str, domain: str, accept: list[str], **options: Any) -> None:
        try:
            rendering = services.compile_policy(
                domain=devices.get_domain(slug=domain).id,
                target=target,
                accept=accept,
                actor=shell_operator(),
                now=utc_now(),
            )
        except WiderThanPolicy as error:
            for fault in error.errors:
                self.stderr.write(f"wider, {fault.pointer.removeprefix('/roles/')}, {fault.detail}")
            raise
        limits = [{"kind": kind.value, "why": why} for kind, why in TARGETS[target].capabilities.limits]
        deviations = [
            {
                "id": each.id,
                "kind": each.kind.value,
                "role": each.rule.role_name,
                "topic": each.rule.rule.topic,
                "why": each.why,
                "devices": each.principal_count,
            }
            for each in rendering.deviations
        ]
        if options["json"]:
            told = {"deviations": deviations, "limits": limits, "warnings": list(rendering.warnings)}
            self.stdout.write(json.dumps({"artifact": rendering.artifact, **told}))
            return
        for found in deviations:
            place = f"{found['kind']}, {found['role']} {found['topic']}, {found['devices']} device(s)"
            self.stderr.write(f"{place}: {found['why']}")
        for limit in limits:
            self.stderr.write(f"{limit['kind']}, whatever the policy is: {limit['why']}")
        for warning in rendering.warnings:
            self.stderr.write(warning)
        self.stdout.write(rendering.artifact, ending="")

    def _who_can(self, *, action: str, topic: str, domain: str, **options: Any) -> None:
        here = [devices.get_domain(slug=domain).id]
        found = services.who_can(domains=here, action=Action(action), topic=topic, now=utc_now())
        told = who_can_document(found)
        if options["json"]:
            self.stdout.write(json.dumps(told))
            return
        self.stdout.write(f"{told['devices']['approximate_count']} devices")
        for each in told["rollouts"]:
            self.stdout.write(f"{each} This is the policy before it.")
        if told["undecided"]:
            self.stdout.write(f"{told['undecided']} more can be judged one by one only, and are too many for that")
        for grant in told["grants"]:
            binding = grant["binding"]
            given = f", given to the {binding['via'].replace('_', ' ')} {binding['target']}" if binding else ""
            self.stdout.write(f"  {grant['rule']['topic']} by the role {grant['role']}{given}")
