"""The console's addresses. Setup, sign-in and themes need no session; all else is a screen."""

from __future__ import annotations

from django.urls import path, register_converter

from console.views import (
    access_log,
    applications,
    broker_accounts,
    broker_authentication,
    broker_capabilities,
    broker_decisions,
    broker_drift,
    broker_editing,
    broker_listeners,
    broker_registering,
    brokers,
    certificate,
    certificate_acts,
    certificate_status,
    certificates,
    change,
    change_acts,
    change_editing,
    changes,
    device,
    device_acts,
    device_rules,
    devices,
    disconnecting,
    enrolment,
    explaining,
    explorer,
    filter_check,
    findings,
    groups,
    issuer,
    issuer_acts,
    issuer_making,
    issuers,
    journal,
    offline_signing,
    operations,
    overview,
    passwords,
    policy_file,
    preferences,
    profile_acts,
    profiles,
    revocation,
    revoking_many,
    roles,
    rollout_acts,
    rollouts,
    search,
    sessions,
    sign_in,
    suggestions,
    token_keys,
)


class _Word:
    """One of a few words in an address."""

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class _Change(_Word):
    regex = "suspend|resume|quarantine|end-tokens"


class _End(_Word):
    regex = "revoke|decommission"


class _Hold(_Word):
    regex = "hold|release"


class _Download(_Word):
    regex = "pem|chain|der"


class _Way(_Word):
    regex = "|".join(issuer_making.WAYS)


class _Verdict(_Word):
    regex = "approve|deny"


class _RolloutAct(_Word):
    regex = "pause|resume"


class _RolloutStep(_Word):
    regex = "advance|roll-back"


class _ChangeAct(_Word):
    regex = "approve|reject|withdraw|rebase|apply|roll-back"


register_converter(_Verdict, "verdict")
register_converter(_ChangeAct, "change-act")
register_converter(_RolloutAct, "rollout-act")
register_converter(_RolloutStep, "rollout-step")
register_converter(_Change, "change")
register_converter(_End, "end")
register_converter(_Hold, "hold")
register_converter(_Download, "download")
register_converter(_Way, "way")

urlpatterns = [
    path("", overview.show_overview, name="overview"),
    path("setup/<str:token>/", sign_in.set_up, name="set-up"),
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-out/", sign_in.sign_out, name="sign-out"),
    path("theme/", preferences.choose_theme, name="theme"),
    path("time-zone/", preferences.choose_time_zone, name="time-zone"),
    path("domain/", preferences.change_domain, name="change-domain"),
    path("search/", search.search, name="search"),
    path("search/found/", search.search_found, name="search-found"),
    path("devices/", devices.list_devices, name="devices"),
    path("devices/<uuid:device>/", device.show_device, name="device"),
    path("devices/<uuid:device>/explain/", explaining.explain_device, name="device-explain"),
    path("devices/<uuid:device>/rules/", device_rules.edit_device_rules, name="device-rules"),
    path("devices/<uuid:device>/passwords/new/", passwords.new_password, name="new-password"),
    path("devices/<uuid:device>/passwords/switch/", passwords.switch_password, name="switch-password"),
    path("devices/<uuid:device>/passwords/<uuid:password>/revoke/", passwords.revoke_password, name="revoke-password"),
    path("devices/<uuid:device>/<change:act>/", device_acts.change_state, name="device-change"),
    path("devices/<uuid:device>/<end:act>/", device_acts.end_device, name="device-end"),
    path("applications/", applications.list_applications, name="applications"),
    path("applications/new/", applications.new_application, name="new-application"),
    path("applications/<uuid:application>/", applications.show_application, name="application"),
    path("applications/<uuid:application>/certify/", applications.certify, name="application-certify"),
    path("groups/", groups.list_groups, name="groups"),
    path("groups/_new/", groups.new_group, name="new-group"),
    path("groups/_query/", groups.check_query, name="query-check"),
    path("groups/<uuid:group>/", groups.show_group, name="group"),
    path("groups/<uuid:group>/query/", groups.edit_query, name="group-query"),
    path("groups/<uuid:group>/add/", groups.add_member, name="group-add"),
    path("groups/<uuid:group>/<uuid:device>/remove/", groups.remove_member, name="group-remove"),
    path("enrolment/", enrolment.list_tokens, name="enrolment"),
    path("enrolment/new/", enrolment.mint_token, name="new-token"),
    path("enrolment/requests/<uuid:enrolment>/<verdict:verdict>/", enrolment.decide_request, name="decide-request"),
    path("enrolment/<uuid:token>/revoke/", enrolment.revoke_token, name="revoke-token"),
    path("issuers/", issuers.list_issuers, name="issuers"),
    path("issuers/_new/", issuer_making.choose_way, name="new-issuer"),
    path("issuers/_new/<way:way>/", issuer_making.make_issuer, name="make-issuer"),
    path("issuers/_requests/<slug:slug>/", issuer_making.show_request, name="issuer-request"),
    path("issuers/_requests/<slug:slug>/csr/", issuer_making.download_request, name="issuer-request-csr"),
    path("issuers/_requests/<slug:slug>/cancel/", issuer_making.cancel_request, name="issuer-request-cancel"),
    path("issuers/<slug:slug>/", issuer.show_issuer, name="issuer"),
    path("issuers/<slug:slug>/publish/", issuer_acts.publish, name="issuer-publish"),
    path("issuers/<slug:slug>/roll-over/", issuer_acts.roll_over, name="issuer-roll-over"),
    path("issuers/<slug:slug>/cross-sign/", issuer_acts.cross_sign, name="issuer-cross-sign"),
    path("issuers/<slug:slug>/cross-sign/csr/", issuer.download_cross_request, name="issuer-cross-request"),
    path("issuers/<slug:slug>/retire/", issuer_acts.retire, name="issuer-retire"),
    path("issuers/<slug:slug>/revoke/", issuer_acts.revoke, name="issuer-revoke"),
    path("issuers/<slug:slug>/signing/", offline_signing.sign_offline, name="issuer-sign"),
    path("issuers/<slug:slug>/signing/export/", offline_signing.export, name="issuer-sign-export"),
    path("issuers/_orders/<uuid:order>/cancel/", offline_signing.cancel, name="signing-order-cancel"),
    path("issuers/<slug:slug>/issuance/", issuer.show_issuance, name="issuer-issuance"),
    path("issuers/<slug:slug>/<download:kind>/", issuer.download_issuer, name="issuer-download"),
    path("certificates/", certificates.list_certificates, name="certificates"),
    path("certificates/<uuid:certificate>/", certificate.show_certificate, name="certificate"),
    path("certificates/<uuid:certificate>/status/", certificate_status.show_status, name="certificate-status"),
    path("certificates/<uuid:certificate>/revoke/", certificate_acts.revoke_certificate, name="certificate-revoke"),
    path("certificates/<uuid:certificate>/<hold:act>/", certificate_acts.change_hold, name="certificate-hold"),
    path(
        "certificates/<uuid:certificate>/<download:kind>/",
        certificate.download_certificate,
        name="certificate-download",
    ),
    path("token-keys/", token_keys.list_keys, name="token-keys"),
    path("token-keys/replace/", token_keys.replace_keys, name="token-keys-replace"),
    path("profiles/", profiles.list_profiles, name="profiles"),
    path("profiles/_new/", profile_acts.new_profile, name="new-profile"),
    path("profiles/_preview/", profile_acts.preview_draft, name="profile-draft"),
    path("profiles/<slug:name>/", profiles.show_profile, name="profile"),
    path("profiles/<slug:name>/preview/", profiles.show_preview, name="profile-preview"),
    path("profiles/<slug:name>/edit/", profile_acts.edit_profile, name="edit-profile"),
    path("profiles/<slug:name>/edit/json/", profile_acts.edit_document, name="edit-profile-json"),
    path("profiles/<slug:name>/retire/", profile_acts.retire_profile, name="retire-profile"),
    path("profiles/<slug:name>/versions/<int:version>/", profiles.show_version, name="profile-version"),
    path("revocation/", revocation.show_revocation, name="revocation"),
    path("revocation/many/", revoking_many.revoke_many, name="revoke-many"),
    path("explorer/", explorer.explore, name="explorer"),
    path("explorer/who/", explorer.explore_who, name="explorer-who"),
    path("explorer/reach/", explorer.explore_reach, name="explorer-reach"),
    path("roles/", roles.list_roles, name="roles"),
    path("roles/new/", roles.new_role, name="new-role"),
    path("roles/_filter/", filter_check.check_filter, name="filter-check"),
    path("roles/_file/", policy_file.import_file, name="policy-file"),
    path("roles/_file/yaml/", policy_file.download, name="policy-download"),
    path("roles/<uuid:role>/", roles.show_role, name="role"),
    path("roles/<uuid:role>/edit/", roles.edit_role, name="edit-role"),
    path("roles/<uuid:role>/delete/", roles.delete_role, name="delete-role"),
    path("roles/<uuid:role>/bindings/", roles.bind, name="bind-role"),
    path("roles/<uuid:role>/bindings/<uuid:binding>/", roles.change_window, name="change-window"),
    path("roles/<uuid:role>/bindings/<uuid:binding>/remove/", roles.unbind, name="unbind-role"),
    path("roles/<uuid:role>/draft/", changes.draft_of_role, name="draft-of-role"),
    path("changes/", changes.list_changes, name="changes"),
    path("changes/_approval/", changes.choose_approval, name="policy-approval"),
    path("changes/<uuid:change>/", change.show_change, name="change"),
    path("changes/<uuid:change>/effect/", change.show_effect, name="change-effect"),
    path("changes/<uuid:change>/<change-act:act>/", change_acts.act_on_change, name="change-act"),
    path("changes/<uuid:change>/rollout/", rollouts.begin_rollout, name="rollout-begin"),
    path("changes/rollouts/<uuid:rollout>/", rollouts.show_rollout, name="rollout"),
    path("changes/rollouts/<uuid:rollout>/<rollout-act:act>/", rollout_acts.act_on_rollout, name="rollout-act"),
    path("changes/rollouts/<uuid:rollout>/<rollout-step:act>/", rollout_acts.confirm_act, name="rollout-confirm"),
    path("changes/<uuid:change>/roles/", change_editing.list_draft_roles, name="change-roles"),
    path("changes/<uuid:change>/new-role/", change_editing.new_draft_role, name="change-new-role"),
    path("changes/<uuid:change>/roles/<str:role>/", change_editing.edit_draft_role, name="change-role"),
    path("changes/<uuid:change>/roles/<str:role>/remove/", change_editing.remove_draft_role, name="change-role-remove"),
    path("changes/<uuid:change>/roles/<str:role>/bind/", change_editing.bind_in_draft, name="change-role-bind"),
    path("changes/<uuid:change>/roles/<str:role>/unbind/", change_editing.unbind_in_draft, name="change-role-unbind"),
    path(
        "changes/<uuid:change>/roles/<str:role>/quarantine/",
        change_editing.quarantine_in_draft,
        name="change-role-quarantine",
    ),
    path("brokers/", brokers.list_brokers, name="brokers"),
    path("brokers/_new/", broker_registering.choose_kind, name="new-broker"),
    path("brokers/_new/<str:kind>/", broker_registering.register, name="register-broker"),
    path("brokers/<slug:name>/", brokers.show_broker, name="broker"),
    path("brokers/<slug:name>/edit/", broker_editing.edit_broker, name="edit-broker"),
    path("brokers/<slug:name>/forget/", broker_registering.forget, name="forget-broker"),
    path("brokers/<slug:name>/authentication/", broker_authentication.edit_chain, name="broker-chain"),
    path("brokers/<slug:name>/decision-secrets/new/", broker_decisions.mint_secret, name="new-decision-secret"),
    path(
        "brokers/<slug:name>/decision-secrets/<uuid:secret>/revoke/",
        broker_decisions.revoke_secret,
        name="revoke-decision-secret",
    ),
    path("brokers/<slug:name>/listeners/", broker_listeners.show_listeners, name="broker-listeners"),
    path("brokers/<slug:name>/listeners/profile/", broker_listeners.edit_profile, name="broker-listener-profile"),
    path("brokers/<slug:name>/listeners/probe/", broker_listeners.probe, name="broker-probe"),
    path("brokers/<slug:name>/listeners/certificate/", broker_listeners.certify, name="broker-certify"),
    path("brokers/<slug:name>/listeners/server.pem", broker_listeners.download_server, name="broker-server-pem"),
    path("brokers/<slug:name>/listeners/trust.pem", broker_listeners.download_trust, name="broker-trust-pem"),
    path("brokers/<slug:name>/capabilities/", broker_capabilities.show_capabilities, name="broker-capabilities"),
    path("brokers/<slug:name>/differences/", brokers.show_differences, name="broker-differences"),
    path("brokers/<slug:name>/deviations/", brokers.show_deviations, name="broker-deviations"),
    path("brokers/<slug:name>/check/", brokers.check, name="broker-check"),
    path("brokers/<slug:name>/accounts/", broker_accounts.acknowledge, name="broker-acknowledge"),
    path("brokers/<slug:name>/on-drift/", broker_drift.choose, name="broker-on-drift"),
    path("brokers/<slug:name>/adoption/", broker_drift.show_adoption, name="broker-adoption"),
    path("brokers/<slug:name>/adoption/draft/", broker_drift.adopt, name="broker-adopt"),
    path("brokers/<slug:name>/passwords/", brokers.take_passwords, name="broker-passwords"),
    path("brokers/<slug:name>/plan/", brokers.make_plan, name="broker-make-plan"),
    path("brokers/<slug:name>/plans/<uuid:plan>/", brokers.show_plan, name="broker-plan"),
    path("brokers/<slug:name>/plans/<uuid:plan>/apply/", brokers.apply_plan, name="broker-apply"),
    path("brokers/<slug:name>/disconnect/<uuid:device>/", disconnecting.end_sessions, name="disconnect"),
    path("access-log/", access_log.show_access_log, name="access-log"),
    path("access-log/files/<str:day>/", access_log.download_access_file, name="access-file"),
    path("suggestions/", suggestions.show_suggestions, name="suggestions"),
    path("suggestions/draft/", suggestions.draft, name="draft-suggestions"),
    path("roles/<uuid:role>/use/", suggestions.show_role_use, name="role-use"),
    path("sessions/", sessions.list_sessions, name="sessions"),
    path("findings/", findings.list_findings, name="findings"),
    path("journal/", journal.show_journal, name="journal"),
    path("journal/verify/", journal.verify, name="journal-verify"),
    path("operations/<uuid:operation>/", operations.show_operation, name="operation"),
    path("operations/<uuid:operation>/panel/", operations.show_panel, name="operation-panel"),
]
