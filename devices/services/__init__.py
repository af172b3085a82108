"""The writes of the fleet, one function a use case."""

from devices.services.binding_windows import tell_windows
from devices.services.bindings import bind_role, change_binding, unbind_role
from devices.services.certify_application import certify_application
from devices.services.change_attributes import change_attributes
from devices.services.change_state import (
    decommission_device,
    quarantine_device,
    resume_device,
    revoke_device,
    suspend_device,
)
from devices.services.decide_request import approve_request, deny_request
from devices.services.domains import (
    create_device_type,
    create_domain,
    set_issuer,
    set_quarantine_role,
)
from devices.services.end_tokens import end_tokens
from devices.services.enroll_device import Enrolment, Pending, enroll_device
from devices.services.enrolment_tokens import (
    MintedToken,
    create_enrolment_profile,
    mint_enrolment_token,
    revoke_enrolment_token,
)
from devices.services.groups import add_to_group, change_group_query, create_group, remove_from_group
from devices.services.import_devices import import_devices
from devices.services.password_use import note_password_use
from devices.services.passwords import (
    IssuedPassword,
    issue_password,
    revoke_password,
    rotate_password,
    switch_password,
    tell_ended_passwords,
)
from devices.services.prove_principal import ProvedPrincipal, prove_by_certificate, prove_by_password
from devices.services.register_device import register_application, register_device
from devices.services.renew_credential import renew_credential

__all__ = [
    "Enrolment",
    "IssuedPassword",
    "MintedToken",
    "Pending",
    "ProvedPrincipal",
    "add_to_group",
    "approve_request",
    "bind_role",
    "certify_application",
    "change_attributes",
    "change_binding",
    "change_group_query",
    "create_device_type",
    "create_domain",
    "create_enrolment_profile",
    "create_group",
    "decommission_device",
    "deny_request",
    "end_tokens",
    "enroll_device",
    "import_devices",
    "issue_password",
    "mint_enrolment_token",
    "note_password_use",
    "prove_by_certificate",
    "prove_by_password",
    "quarantine_device",
    "register_application",
    "register_device",
    "remove_from_group",
    "renew_credential",
    "resume_device",
    "revoke_device",
    "revoke_enrolment_token",
    "revoke_password",
    "rotate_password",
    "set_issuer",
    "set_quarantine_role",
    "suspend_device",
    "switch_password",
    "tell_ended_passwords",
    "tell_windows",
    "unbind_role",
]
