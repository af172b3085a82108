"""Authentication chains as JSON documents, with errors that name the step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from brokers.core.auth_chains.chain import MOST_CHARACTERS, AuthChain, AuthStep, CertificatePart, StepKind
from brokers.core.auth_chains.flow import flow_of
from brokers.core.auth_chains.patterns import PatternFault, parse_pattern
from brokers.core.decide.decisions import Method
from brokers.core.decide.snippets import NAMES, SHOWS_CERTIFICATE, TELLS_NAME, Dialect
from kernel.core.errors import FieldError, Invalid

MOST_STEPS = 20
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TEXT = re.compile(r"(?:[^$\x00-\x1f\x7f]|\$(?!\{)|\$\{[a-z][a-z0-9_]{0,31}\})*")
_TOLD = frozenset({"username", "client_id"})


class InvalidAuthChain(Invalid):
    """The authentication chain can not be like this; `errors` name the steps."""

    code = "invalid-auth-chain"


def chain_document(chain: AuthChain) -> dict[str, Any]:
    """The chain as JSON, which `read_chain` reads."""
    steps = [
        {"do": step.do.value, "field": step.field, "value": step.value, "optional": step.optional}
        for step in chain.steps
    ]
    return {"steps": steps, "methods": [method.value for method in chain.methods]}


def read_chain(document: Mapping[str, Any]) -> AuthChain:
    """The chain, of a document of the right types. Raises InvalidAuthChain."""
    chain = AuthChain(
        steps=tuple(
            AuthStep(
                do=StepKind(step["do"]), field=step["field"], value=step["value"], optional=step.get("optional", False)
            )
            for step in document["steps"]
        ),
        methods=tuple(map(Method, document["methods"])),
    )
    _refuse(list(_errors(chain)))
    return chain


def kept_chain(document: Mapping[str, Any]) -> AuthChain:
    """The chain that was kept as this document, {} being the one without steps. Raises InvalidAuthChain.

    A later version may have written what this one does not know.
    """
    try:
        return read_chain(document) if document else AuthChain()
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidAuthChain("The chain can not be read: a later version may have written it.") from error


def refuse_for(chain: AuthChain, dialect: Dialect) -> None:
    """Nothing if a broker that asks like that tells what the chain needs. Raises InvalidAuthChain."""
    errors = []
    shows, tells_name = dialect in SHOWS_CERTIFICATE, dialect in TELLS_NAME
    for number, step in enumerate(chain.steps, 1):
        if step.do is StepKind.CERTIFICATE and not shows and not (tells_name and step.value == CertificatePart.CN):
            told = "the common name of a certificate alone: take cn" if tells_name else "nothing of a certificate"
            errors.append(_error(number, "value", "certificate-untold", f"{NAMES[dialect]} tells {told}."))
    alone = flow_of(chain, tells_name=tells_name).login_alone
    if alone and not errors:
        only = "its common name" if tells_name else "nothing of it"
        detail = (
            f"{NAMES[dialect]} shows the certificate at a login alone, and later tells {only}: username and client_id "
            "can not come from it, or who publishes could be another than who logged in. A regex may judge it."
        )
        errors.append(_error(alone, "value", "login-alone", detail))
    _refuse(errors)


def _errors(chain: AuthChain) -> Iterator[FieldError]:
    if len(chain.steps) > MOST_STEPS:
        yield FieldError(pointer="/steps", code="too-many-steps", detail=f"Give at most {MOST_STEPS} steps.")
        return
    if not chain.methods or len(set(chain.methods)) != len(chain.methods):
        detail = f"Give some of {', '.join(Method)}, each once, the one that decides first before the others."
        yield FieldError(pointer="/methods", code="invalid-methods", detail=detail)
    known = set(_TOLD)
    for number, step in enumerate(chain.steps, 1):
        errors = list(_errors_of(step, number))
        yield from errors
        if not errors:
            yield from _unknown(step, known, number)
            known |= set(step.writes)


def _errors_of(step: AuthStep, number: int) -> Iterator[FieldError]:
    if not _FIELD.fullmatch(step.field):
        detail = "Name a field: username, client_id, or one of your own, of lower-case letters, digits and _."
        yield _error(number, "field", "invalid-field", detail)
    if step.do is StepKind.REGEX:
        try:
            parse_pattern(step.value)
        except PatternFault as fault:
            yield _error(number, "value", "invalid-pattern", str(fault))
    elif step.do is StepKind.CERTIFICATE and step.value not in [*CertificatePart]:
        detail = f"Name a part of the certificate: {', '.join(CertificatePart)}."
        yield _error(number, "value", "invalid-part", detail)
    elif step.do is StepKind.SET and (len(step.value) > MOST_CHARACTERS or not _TEXT.fullmatch(step.value)):
        detail = f"Give one line of at most {MOST_CHARACTERS} characters; ${{name}} is what that field holds."
        yield _error(number, "value", "invalid-text", detail)
    elif step.do is StepKind.COPY and not _FIELD.fullmatch(step.value):
        yield _error(number, "value", "invalid-field", "Name the field to copy.")


def _unknown(step: AuthStep, known: set[str], number: int) -> Iterator[FieldError]:
    for name in step.reads:
        if name not in known:
            member = "field" if step.do is StepKind.REGEX else "value"
            detail = f"No step before this one fills {name}: the order is the one in which they are done."
            yield _error(number, member, "unknown-field", detail)


def _error(number: int, member: str, code: str, detail: str) -> FieldError:
    return FieldError(pointer=f"/steps/{number - 1}/{member}", code=code, detail=f"Step {number}: {detail}")


def _refuse(errors: list[FieldError]) -> None:
    if errors:
        raise InvalidAuthChain(f"The chain can not be like this. {errors[0].detail}", errors=tuple(errors))
