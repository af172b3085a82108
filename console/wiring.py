"""The only registries: which tasks follow an event, which class stands behind an adapter's name, who answers a port."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from brokers import queries as brokers
from brokers.core.values import Broker
from brokers.services.by_hand_findings import ByHandFindings
from brokers.services.hearing_findings import HearingFindings
from brokers.services.listening_findings import ListeningFindings
from brokers.services.rollout_findings import RolloutFindings
from brokers.services.use_findings import UseFindings
from console.queries import operators_with
from devices import queries as fleet
from devices.core.lifecycle import ENDED
from devices.core.ports import BrokerEndpoint
from devices.core.values import DeviceId, principal_held
from devices.queries.policy_findings import PolicyFindings
from devices.services.policy_gate import enter_policy
from kernel.core.findings import FindingSource
from kernel.core.ids import DomainId
from kernel.core.journal import Entry, Queue, Step
from pki.queries import PkiFindings

Route = Callable[[Entry], Sequence[Step]]

PARTS_AT_ONCE = 8
"""Of one file of certificates, each keeping a core busy, whatever number of workers there is."""


def evict(entry: Entry) -> list[Step]:
    """Ends what the device has on each broker of its domain; waits for nothing but an earlier one at that broker."""
    return [
        Step(task="brokers.evict", target=_named(broker), queue=Queue.REVOCATION, order_key=f"evict:{broker.id}")
        for broker in _brokers(entry)
    ]


def disconnect(entry: Entry) -> list[Step]:
    """Ends the sessions of the device or application at one broker; no eviction waits for it.

    Nor does what somebody orders now wait for what is to be at a later time, or for what is one of many: those go one
    after another, so that they leave threads to others.
    """
    queue, kind = Queue.REVOCATION, "disconnect"
    if "not_before" in entry.after:
        kind = f"{kind}-later"
    key = f"{kind}:{entry.subject.id}:{entry.after['broker_id']}"
    if "bulk" in entry.after:
        queue, key = Queue.BULK, f"bulk-{kind}:{entry.after['broker_id']}"
    return [Step(task="brokers.disconnect", target=f"broker:{entry.after['broker']}", queue=queue, order_key=key)]


def push(entry: Entry) -> list[Step]:
    """Brings each broker of the domain to the policy."""
    return [
        Step(task="brokers.push", target=_named(broker), queue=Queue.POLICY, order_key=f"push:{broker.id}")
        for broker in _brokers(entry)
    ]


def push_once(entry: Entry) -> list[Step]:
    """The same, unless the entry is a part of a change: the change's own entry, which ends it, does it for all."""
    return [] if "change" in entry.after else push(entry)


def push_this_broker(entry: Entry) -> list[Step]:
    """Brings the broker that the entry is about to the policy."""
    return [_about_broker(entry, task="brokers.push")]


def apply_plan(entry: Entry) -> list[Step]:
    """Carries out a plan."""
    return [_about_broker(entry, task="brokers.apply")]


def probe(entry: Entry) -> list[Step]:
    """Looks at the listeners of the broker that the entry is about; nothing waits for it."""
    key = f"probe:{entry.subject.id}"
    return [Step(task="brokers.probe", target=f"broker:{entry.subject.label}", queue=Queue.BULK, order_key=key)]


def push_crl(entry: Entry) -> list[Step]:
    """Hands the CRL to each broker of the domain; not behind bulk, since a broker may know of a revocation only so."""
    return [
        Step(task="brokers.push_crl", target=_named(broker), queue=Queue.REVOCATION, order_key=f"crl:{broker.id}")
        for broker in _brokers(entry)
    ]


def revoke_device(entry: Entry) -> list[Step]:
    """Throws the device out: brokers first, then OCSP, then the CRL of each issuer of its certificates."""
    return [*evict(entry), _confirm(), *map(_crl, entry.after["issuers"])]


def revoke_certificate(entry: Entry) -> list[Step]:
    """Makes the revocation visible, and throws out the device or application that holds the certificate."""
    holder = principal_held(str(entry.after["holder"]))
    evicts = holder is not None and not _is_leaving(holder)
    if "bulk" in entry.after:  # the operation of which it is a part publishes the CRL
        return evict_in_time(entry) if evicts else []
    return [*(evict(entry) if evicts else ()), _confirm(), _crl(str(entry.after["issuer_slug"]))]


def evict_in_time(entry: Entry) -> list[Step]:
    """The same as `evict` for one of many: behind everything urgent, and nothing urgent waits for it."""
    return [replace(step, queue=Queue.BULK, order_key=f"bulk-{step.order_key}") for step in evict(entry)]


def revoke_matching(_entry: Entry) -> list[Step]:
    """Revokes many certificates, one chunk after another."""
    return [Step(task="pki.revoke_matching", target="certificates", queue=Queue.BULK)]


def revoke_issuer(entry: Entry) -> list[Step]:
    """Shuts out who has nothing but certificates of the issuer, and takes it out of what brokers trust."""
    return [*push(entry), *push_crl(entry)]


def release_certificate(entry: Entry) -> list[Step]:
    """Takes the certificate off the CRL, and lets its holder in again."""
    return [*push(entry), _crl(str(entry.after["issuer_slug"]))]


def issue_parts(entry: Entry) -> list[Step]:
    """Has the parts of a file's certificates issued, so many at once that a worker has threads for others left."""
    return [
        Step(
            task="pki.issue_part",
            target=f"part:{part}",
            queue=Queue.BULK,
            order_key=f"issue:{entry.id}:{part % PARTS_AT_ONCE}",
        )
        for part in range(int(entry.after["parts"]))
    ]


def adopt_domain(_entry: Entry) -> list[Step]:
    """Lets whoever made the domain into it."""
    return [Step(task="console.adopt_domain", target="operators", queue=Queue.POLICY)]


ROUTES: Mapping[str, Route] = {
    "devices.domain.created": adopt_domain,
    "devices.domain.changed": push,
    "devices.device.changed": push,
    "devices.device.enrolled": push,
    "devices.device.renewed": push,
    "devices.device.resumed": push,
    "devices.device.suspended": evict,
    "devices.device.tokens_ended": evict,
    "devices.device.quarantined": evict,
    "devices.device.revoked": revoke_device,
    "devices.device.decommissioned": revoke_device,
    "devices.device.password_issued": push,
    "devices.device.password_rotated": push,
    "devices.device.password_switched": push,
    "devices.device.password_ended": push,
    "devices.device.password_revoked": evict,
    "devices.application.certified": push,
    "devices.application.renewed": push,
    "devices.application.resumed": push,
    "devices.application.suspended": evict,
    "devices.application.tokens_ended": evict,
    "devices.application.quarantined": evict,
    "devices.application.revoked": revoke_device,
    "devices.application.decommissioned": revoke_device,
    "devices.application.password_issued": push,
    "devices.application.password_rotated": push,
    "devices.application.password_switched": push,
    "devices.application.password_ended": push,
    "devices.application.password_revoked": evict,
    "devices.binding.created": push_once,
    "devices.binding.removed": push_once,
    "devices.binding.changed": push_once,
    "devices.binding.began": push,
    "devices.binding.ended": push,
    "devices.group.changed": push_once,
    "devices.policy_change.applied": push,
    "devices.rollout.started": push,
    "devices.rollout.advanced": push,
    "devices.rollout.rolled_back": push,
    "acl.role.changed": push_once,
    "acl.role.deleted": push_once,
    "pki.certificate.revoked": revoke_certificate,
    "pki.certificate.held": revoke_certificate,
    "pki.certificate.released": release_certificate,
    "pki.crl.published": push_crl,
    "pki.issuance.ordered": issue_parts,
    "pki.revocation.ordered": revoke_matching,
    "pki.issuer.retired": push_crl,
    "pki.issuer.revoked": revoke_issuer,
    "brokers.broker.registered": push_this_broker,
    "brokers.broker.changed": push_this_broker,
    "brokers.plan.applied": apply_plan,
    "brokers.probe.ordered": probe,
    "brokers.session.end_ordered": disconnect,
}

WITHOUT_CONSEQUENCE = frozenset(
    {
        "brokers.policy.compiled",
        "brokers.accounts.acknowledged",
        "brokers.drift.adopted",  # a draft, which changes nothing yet
        "brokers.drift.choice_changed",  # the next check follows it
        "brokers.first_file.made",
        "acl.role.created",  # nobody has it before it is bound
        "brokers.broker.removed",
        "brokers.decision_secret.created",
        "brokers.listener_profile.changed",  # whoever installs the broker's configuration brings it there
        "brokers.decision_secret.revoked",
        "brokers.auth_chain.changed",  # decisions read it anew
        "brokers.token_key.created",
        "brokers.token_key.retired",
        "brokers.token_key.revoked",  # decisions read the keys anew; brokers that verify by themselves do in their time
        "console.application.created",
        "console.application.secret_renewed",
        "console.installation.set_up",
        "console.master_key.rewrapped",
        "console.operator.changed",
        "console.operator.created",
        "console.operator.role_granted",
        "console.operator.set_up",
        "console.operator.setup_link_made",
        "console.operator.signed_in",
        "console.operator.signed_out",
        "devices.application.registered",  # it has no certificate yet
        "devices.device.registered",
        "devices.device_type.created",
        "devices.enrolment_profile.created",
        "devices.enrolment_request.approved",  # the device is enrolled when it asks again
        "devices.enrolment_request.created",
        "devices.enrolment_request.denied",
        "devices.enrolment_token.created",
        "devices.enrolment_token.revoked",
        "devices.domain.policy_approval_set",
        "devices.group.created",  # nothing is bound to it yet
        "devices.policy_change.approved",
        "devices.policy_change.drafted",
        "devices.policy_change.rebased",
        "devices.policy_change.rejected",
        "devices.policy_change.rewritten",
        "devices.policy_change.rolled_back",
        "devices.policy_change.withdrawn",
        "devices.rollout.finished",  # the change is applied with it, in an entry of its own
        "devices.rollout.paused",
        "devices.rollout.resumed",
        "pki.certificate.issued",
        "pki.issuer.created",  # its first CRL goes to the brokers, and the CAs with it
        "pki.issuer.cross_certified",
        "pki.issuer.imported",
        "pki.issuer.installed",
        "pki.issuer.superseded",  # trusted as before
        "pki.issuer.trusted",
        "pki.issuer_request.cancelled",
        "pki.issuer_request.created",
        "pki.profile.retired",
        "pki.profile.saved",  # certificates that there are stay as they are
        "pki.signing_request.cancelled",
        "pki.signing_request.created",
        "pki.signing_request.signed",  # what comes of it has entries of its own
        "pki.key.found_weak",  # a finding: the operators decide when its holder goes
        "pki.keys.examined",
    }
)
"""Recorded for people alone. Every action of the code base stands here or in ROUTES: a test compares."""


class WiringRouter:
    """Hands each entry to the route of its action; an action without a route has no consequence."""

    def steps_for(self, entry: Entry) -> Sequence[Step]:
        """The steps that this entry asks for."""
        route = ROUTES.get(entry.action)
        return route(entry) if route else ()


class Endpoints:
    """Tells `devices` where a device connects."""

    def endpoints(self, domain: DomainId) -> Sequence[BrokerEndpoint]:
        """Each listener of each broker of the domain."""
        return brokers.endpoints(domain)

    def is_reserved(self, domain: DomainId, name: str) -> bool:
        """Whether a broker of the domain is controlled by an account of that name."""
        return brokers.is_control_name(domain=domain, name=name)


class Gate:
    """Lets those in who write roles."""

    def enter(self, domain: DomainId, *, change: UUID | None) -> None:
        """One after another, and past a domain's four eyes only as a part of an approved change."""
        enter_policy(domain, change=change)


class Approvers:
    """Tells `devices` whose approvals count."""

    def who_may_approve(self, domain: DomainId, *, among: Collection[str]) -> frozenset[str]:
        """Those of them who are active and have a role in the domain that holds policy:approve."""
        return operators_with("policy:approve", domain=domain, among=among)


finding_sources: Sequence[FindingSource] = (
    PkiFindings(),
    PolicyFindings(),
    UseFindings(),
    RolloutFindings(),
    ListeningFindings(),
    ByHandFindings(),
    HearingFindings(),
)
"""Who watches over what: console/findings.py gathers what they find."""
router = WiringRouter()
broker_directory = Endpoints()
policy_gate = Gate()
policy_approvers = Approvers()
adapters: Mapping[str, str] = {
    "http-decisions": "brokers.adapters.http_decisions.HttpDecisionsAdapter",
    "nats": "brokers.adapters.nats.NatsAdapter",
    "mosquitto-dynsec": "brokers.adapters.mosquitto_dynsec.MosquittoDynsecAdapter",
    "mosquitto-files": "brokers.adapters.mosquitto_acl_file.MosquittoAclFileAdapter",
    "goauth-postgresql": "brokers.adapters.goauth_postgresql.GoAuthPostgresqlAdapter",
    "rabbitmq": "brokers.adapters.rabbitmq.RabbitmqAdapter",
    "hivemq-ese-sql": "brokers.adapters.hivemq_ese.HivemqEseAdapter",
    "emqx": "brokers.adapters.emqx.EmqxAdapter",
    "nanomq": "brokers.adapters.nanomq.NanomqAdapter",
    "goauth-redis": "brokers.adapters.goauth_redis.GoAuthRedisAdapter",
    "nats-files": "brokers.adapters.nats_files.NatsFilesAdapter",
    "hivemq-ce-file": "brokers.adapters.hivemq_files.HivemqCeFileAdapter",
    "hivemq-ese-file": "brokers.adapters.hivemq_files.HivemqEseFileAdapter",
    "vernemq-postgresql": "brokers.adapters.vernemq_postgresql.VernemqPostgresqlAdapter",
}


def _brokers(entry: Entry) -> Sequence[Broker]:
    return brokers.list_brokers(domains=[entry.domain]) if entry.domain else ()


def _is_leaving(holder: DeviceId) -> bool:
    """Whether the device or application itself is being thrown out, in an entry of its own that has the same steps."""
    try:
        state = fleet.get_principal(id=holder).state
    except fleet.UnknownDevice:  # whoever holds it, a revocation goes through
        return False
    return state in ENDED


def _named(broker: Broker) -> str:
    return f"broker:{broker.name}"


def _about_broker(entry: Entry, *, task: str) -> Step:
    key = f"push:{UUID(entry.subject.id)}"
    return Step(task=task, target=f"broker:{entry.subject.label}", queue=Queue.POLICY, order_key=key)


def _confirm() -> Step:
    return Step(task="pki.confirm_revocation", target="ocsp", queue=Queue.REVOCATION)


def _crl(slug: str) -> Step:
    return Step(task="pki.publish_crl", target=f"crl:{slug}", queue=Queue.REVOCATION, order_key=f"crl:{slug}")
