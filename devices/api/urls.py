"""Paths below /api/v1/."""

from __future__ import annotations

from django.urls import include, path

from devices.api import (
    applications,
    bindings,
    connection_kit,
    device_rules,
    devices,
    enrolment,
    fleet,
    groups,
    onboarding,
    passwords,
    policy_change_acts,
    policy_changes,
    policy_documents,
)

urlpatterns = [
    path("domains/", fleet.DomainListView.as_view(), name="domain-list"),
    path("domains/<slug:domain>/policy/", policy_documents.PolicyDocumentView.as_view(), name="policy-document"),
    path("policy/schema/", policy_documents.PolicySchemaView.as_view(), name="policy-schema"),
    path("domains/<slug:domain>/policy-approval/", fleet.PolicyApprovalView.as_view(), name="domain-policy-approval"),
    path("policy-changes/", policy_changes.ChangeListView.as_view(), name="policy-change-list"),
    path("policy-changes/<uuid:policy_change>/", policy_changes.ChangeView.as_view(), name="policy-change-detail"),
    path(
        "policy-changes/<uuid:policy_change>/rebase/",
        policy_change_acts.RebaseView.as_view(),
        name="policy-change-rebase",
    ),
    path(
        "policy-changes/<uuid:policy_change>/approve/",
        policy_change_acts.ApproveView.as_view(),
        name="policy-change-approve",
    ),
    path(
        "policy-changes/<uuid:policy_change>/reject/",
        policy_change_acts.RejectView.as_view(),
        name="policy-change-reject",
    ),
    path(
        "policy-changes/<uuid:policy_change>/withdraw/",
        policy_change_acts.WithdrawView.as_view(),
        name="policy-change-withdraw",
    ),
    path(
        "policy-changes/<uuid:policy_change>/apply/",
        policy_change_acts.ApplyView.as_view(),
        name="policy-change-apply",
    ),
    path(
        "policy-changes/<uuid:policy_change>/roll-back/",
        policy_change_acts.RollBackView.as_view(),
        name="policy-change-roll-back",
    ),
    path("device-types/", fleet.DeviceTypeListView.as_view(), name="device-type-list"),
    path("groups/", groups.GroupListView.as_view(), name="group-list"),
    path("groups/preview/", groups.GroupPreviewView.as_view(), name="group-preview"),
    path("groups/<uuid:group>/", groups.GroupView.as_view(), name="group-detail"),
    path("groups/<uuid:group>/members/", groups.GroupMembersView.as_view(), name="group-members"),
    path("bindings/", bindings.BindingListView.as_view(), name="binding-list"),
    path("bindings/<uuid:binding>/", bindings.BindingView.as_view(), name="binding-detail"),
    path("devices/", devices.DeviceListView.as_view(), name="device-list"),
    path("devices/<uuid:device>/", devices.DeviceView.as_view(), name="device-detail"),
    path("devices/<uuid:device>/permissions/", devices.DevicePermissionsView.as_view(), name="device-permissions"),
    path(
        "devices/<uuid:device>/connection-kit/",
        connection_kit.ConnectionKitView.as_view(),
        name="device-connection-kit",
    ),
    path("devices/<uuid:device>/rules/", device_rules.DeviceRulesView.as_view(), name="device-rules"),
    path("devices/<uuid:device>/credentials/", devices.DeviceCredentialsView.as_view(), name="device-credentials"),
    path(
        "devices/<uuid:device>/passwords/",
        include(
            [
                path("", passwords.DevicePasswordsView.as_view(), name="device-passwords"),
                path("rotate/", passwords.RotateDevicePasswordView.as_view(), name="device-password-rotate"),
                path("switch/", passwords.SwitchDevicePasswordView.as_view(), name="device-password-switch"),
                path(
                    "<uuid:password>/revoke/",
                    passwords.RevokeDevicePasswordView.as_view(),
                    name="device-password-revoke",
                ),
            ]
        ),
    ),
    path(
        "broker-applications/<uuid:application>/passwords/",
        include(
            [
                path("", passwords.ApplicationPasswordsView.as_view(), name="broker-application-passwords"),
                path(
                    "rotate/",
                    passwords.RotateApplicationPasswordView.as_view(),
                    name="broker-application-password-rotate",
                ),
                path(
                    "switch/",
                    passwords.SwitchApplicationPasswordView.as_view(),
                    name="broker-application-password-switch",
                ),
                path(
                    "<uuid:password>/revoke/",
                    passwords.RevokeApplicationPasswordView.as_view(),
                    name="broker-application-password-revoke",
                ),
            ]
        ),
    ),
    path("devices/<uuid:device>/suspend/", devices.SuspendView.as_view(), name="device-suspend"),
    path("devices/<uuid:device>/resume/", devices.ResumeView.as_view(), name="device-resume"),
    path("devices/<uuid:device>/quarantine/", devices.QuarantineView.as_view(), name="device-quarantine"),
    path("devices/<uuid:device>/end-tokens/", devices.EndTokensView.as_view(), name="device-end-tokens"),
    path("devices/<uuid:device>/revoke/", devices.RevokeView.as_view(), name="device-revoke"),
    path("devices/<uuid:device>/decommission/", devices.DecommissionView.as_view(), name="device-decommission"),
    path("broker-applications/", applications.ApplicationListView.as_view(), name="broker-application-list"),
    path(
        "broker-applications/<uuid:application>/",
        include(
            [
                path("", applications.ApplicationView.as_view(), name="broker-application-detail"),
                path(
                    "permissions/",
                    applications.ApplicationPermissionsView.as_view(),
                    name="broker-application-permissions",
                ),
                path(
                    "credentials/",
                    applications.ApplicationCredentialsView.as_view(),
                    name="broker-application-credentials",
                ),
                path(
                    "connection-kit/",
                    connection_kit.ApplicationConnectionKitView.as_view(),
                    name="broker-application-connection-kit",
                ),
                path("suspend/", applications.ApplicationSuspendView.as_view(), name="broker-application-suspend"),
                path("resume/", applications.ApplicationResumeView.as_view(), name="broker-application-resume"),
                path(
                    "quarantine/",
                    applications.ApplicationQuarantineView.as_view(),
                    name="broker-application-quarantine",
                ),
                path(
                    "end-tokens/",
                    applications.ApplicationEndTokensView.as_view(),
                    name="broker-application-end-tokens",
                ),
                path("revoke/", applications.ApplicationRevokeView.as_view(), name="broker-application-revoke"),
                path(
                    "decommission/",
                    applications.ApplicationDecommissionView.as_view(),
                    name="broker-application-decommission",
                ),
            ]
        ),
    ),
    path("enrolment-profiles/", onboarding.ProfileListView.as_view(), name="enrolment-profile-list"),
    path("enrolment-tokens/", onboarding.TokenListView.as_view(), name="enrolment-token-list"),
    path("enrolment-tokens/<uuid:token>/", onboarding.TokenView.as_view(), name="enrolment-token-detail"),
    path("enrolment-requests/", onboarding.RequestListView.as_view(), name="enrolment-request-list"),
    path(
        "enrolment-requests/<uuid:enrolment_request>/approve/",
        onboarding.ApproveView.as_view(),
        name="enrolment-request-approve",
    ),
    path(
        "enrolment-requests/<uuid:enrolment_request>/deny/",
        onboarding.DenyView.as_view(),
        name="enrolment-request-deny",
    ),
    path("enroll/", enrolment.EnrollView.as_view(), name="enroll"),
    path("renew/", enrolment.RenewView.as_view(), name="renew"),
]
