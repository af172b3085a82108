"""Orders to EMQX: a step for each change, with all that it takes to make it."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace

from brokers.core.emqx.changes import EmqxChange, rule_documents
from brokers.core.emqx.passwords import note_of
from brokers.core.emqx.rules import EmqxRules
from brokers.core.password_steps import SET
from brokers.core.password_texts import fingerprint
from brokers.core.ports import Step


def step_of(change: EmqxChange, noted: str) -> Step:
    """The step; `noted` is the password that the name has, which its rules go on telling."""
    rules = rule_documents((*change.rules, *note_of(noted)))
    payload = json.dumps({"rules": rules, "ends": change.ends})
    return Step(kind=change.kind, target=change.name, summary=change.summary, payload=payload)


def with_rules(step: Step, wanted: EmqxRules, *, changed: Collection[str] = ()) -> Step:
    """The step that sets or takes a password, with the name's rules, if it has any, and the one that tells of it.

    Of one whose rules are `changed` as well it says nothing of them.
    """
    rules = None if step.target in changed else wanted.users.get(step.target)
    told = {
        "text": step.payload,
        "rules": None if rules is None else rule_documents(rules),
        "note": rule_documents(note_of(fingerprint(step.payload) if step.kind == SET else "")),
    }
    return replace(step, payload=json.dumps(told))
