"""Reading the fleet."""

from devices.queries.bindings import BindingRow, binding_exists, list_bindings
from devices.queries.credentials import count_ending_by_week, credentials_of, device_of_certificate
from devices.queries.devices import (
    APPROXIMATE_FROM,
    DeviceFilter,
    DevicePage,
    Place,
    UnknownDevice,
    count_by_state,
    count_devices,
    find_device_by_auth_id,
    find_device_by_name,
    get_device,
    list_devices,
)
from devices.queries.domains import (
    UnknownDomain,
    get_domain,
    group_exists,
    issuer_of,
    list_device_types,
    list_domains,
    list_groups,
)
from devices.queries.enrolment import (
    ProfileRow,
    RequestRow,
    TokenRow,
    enrolment_request_exists,
    enrolment_token_exists,
    list_enrolment_profiles,
    list_enrolment_requests,
    list_enrolment_tokens,
)
from devices.queries.subjects import iterate_subjects, subject_of

__all__ = [
    "APPROXIMATE_FROM",
    "BindingRow",
    "DeviceFilter",
    "DevicePage",
    "Place",
    "ProfileRow",
    "RequestRow",
    "TokenRow",
    "UnknownDevice",
    "UnknownDomain",
    "binding_exists",
    "count_by_state",
    "count_devices",
    "count_ending_by_week",
    "credentials_of",
    "device_of_certificate",
    "enrolment_request_exists",
    "enrolment_token_exists",
    "find_device_by_auth_id",
    "find_device_by_name",
    "get_device",
    "get_domain",
    "group_exists",
    "issuer_of",
    "iterate_subjects",
    "list_bindings",
    "list_device_types",
    "list_devices",
    "list_domains",
    "list_enrolment_profiles",
    "list_enrolment_requests",
    "list_enrolment_tokens",
    "list_groups",
    "subject_of",
]
