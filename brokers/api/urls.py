"""Paths of brokers and of questions about policy, relative to /api/v1/."""

from __future__ import annotations

from django.urls import path

from brokers.api.access_log import AccessFileListView, AccessFileView, AccessLogView
from brokers.api.account_views import KnownAccountsView
from brokers.api.authentication_views import AuthenticationTrialView, AuthenticationView
from brokers.api.decision_secret_views import DecisionSecretListView, DecisionSecretView
from brokers.api.disconnect_views import ApplicationDisconnectView, DeviceDisconnectView
from brokers.api.drift_views import AdoptionView, OnDriftView
from brokers.api.foresight_views import ForesightView
from brokers.api.listener_views import ConfigurationView, ListenerProfileView
from brokers.api.password_views import PasswordLoginsView
from brokers.api.policy_imports import ImportPlanView, PolicyImportView
from brokers.api.policy_views import ExplainView, WhoCanView
from brokers.api.probe_views import ProbeView
from brokers.api.reach_views import ReachView
from brokers.api.role_diff_views import RoleDiffView
from brokers.api.rollouts import (
    AdvanceRolloutView,
    PauseRolloutView,
    ResumeRolloutView,
    RollBackRolloutView,
    RolloutListView,
    RolloutView,
)
from brokers.api.server_certificate_views import ServerCertificateView, TrustBundleView
from brokers.api.suggestions import DeniedListView, RuleUseListView, SuggestionDraftView, SuggestionListView
from brokers.api.token_keys import ReplaceTokenKeysView, TokenKeyListView
from brokers.api.views import (
    ApplyView,
    BrokerListView,
    BrokerView,
    DeviceSessionListView,
    DriftView,
    PlanView,
    RenderingView,
    SessionListView,
)

urlpatterns = [
    path("access-log/", AccessLogView.as_view(), name="access-line-list"),
    path("access-log/files/", AccessFileListView.as_view(), name="access-file-list"),
    path("access-log/files/<slug:domain>/<str:day>/", AccessFileView.as_view(), name="access-file-detail"),
    path("policy/suggestions/", SuggestionListView.as_view(), name="suggestion-list"),
    path("policy/rule-use/", RuleUseListView.as_view(), name="rule-use-list"),
    path("policy/denied/", DeniedListView.as_view(), name="denied-list"),
    path("policy/suggestions/draft/", SuggestionDraftView.as_view(), name="suggestion-draft"),
    path("brokers/", BrokerListView.as_view(), name="broker-list"),
    path("brokers/<slug:name>/", BrokerView.as_view(), name="broker-detail"),
    path("brokers/<slug:name>/passwords/", PasswordLoginsView.as_view(), name="broker-passwords"),
    path("brokers/<slug:name>/plan/", PlanView.as_view(), name="broker-plan"),
    path("brokers/<slug:name>/apply/", ApplyView.as_view(), name="broker-apply"),
    path("brokers/<slug:name>/known-accounts/", KnownAccountsView.as_view(), name="broker-known-accounts"),
    path("brokers/<slug:name>/adoption/", AdoptionView.as_view(), name="broker-adoption"),
    path("brokers/<slug:name>/on-drift/", OnDriftView.as_view(), name="broker-on-drift"),
    path("brokers/<slug:name>/drift/", DriftView.as_view(), name="broker-drift"),
    path("brokers/<slug:name>/rendering/", RenderingView.as_view(), name="broker-rendering"),
    path("brokers/<slug:name>/listener-profile/", ListenerProfileView.as_view(), name="broker-listener-profile"),
    path("brokers/<slug:name>/configuration/", ConfigurationView.as_view(), name="broker-configuration"),
    path("brokers/<slug:name>/server-certificate/", ServerCertificateView.as_view(), name="broker-server-certificate"),
    path("brokers/<slug:name>/probe/", ProbeView.as_view(), name="broker-probe"),
    path("brokers/<slug:name>/trust-bundle/", TrustBundleView.as_view(), name="broker-trust-bundle"),
    path("brokers/<slug:name>/sessions/", SessionListView.as_view(), name="broker-sessions"),
    path("brokers/<slug:name>/authentication/", AuthenticationView.as_view(), name="broker-authentication"),
    path(
        "brokers/<slug:name>/authentication/try/", AuthenticationTrialView.as_view(), name="broker-authentication-try"
    ),
    path("brokers/<slug:name>/decision-secrets/", DecisionSecretListView.as_view(), name="broker-decision-secrets"),
    path(
        "brokers/<slug:name>/decision-secrets/<uuid:decision_secret>/",
        DecisionSecretView.as_view(),
        name="broker-decision-secret",
    ),
    path("devices/<uuid:device>/sessions/", DeviceSessionListView.as_view(), name="device-sessions"),
    path("devices/<uuid:device>/disconnect/", DeviceDisconnectView.as_view(), name="device-disconnect"),
    path(
        "broker-applications/<uuid:application>/disconnect/",
        ApplicationDisconnectView.as_view(),
        name="broker-application-disconnect",
    ),
    path("policy-changes/<uuid:policy_change>/effect/", ForesightView.as_view(), name="policy-change-effect"),
    path("rollouts/", RolloutListView.as_view(), name="rollout-list"),
    path("rollouts/<uuid:rollout>/", RolloutView.as_view(), name="rollout-detail"),
    path("rollouts/<uuid:rollout>/pause/", PauseRolloutView.as_view(), name="rollout-pause"),
    path("rollouts/<uuid:rollout>/resume/", ResumeRolloutView.as_view(), name="rollout-resume"),
    path("rollouts/<uuid:rollout>/advance/", AdvanceRolloutView.as_view(), name="rollout-advance"),
    path("rollouts/<uuid:rollout>/roll-back/", RollBackRolloutView.as_view(), name="rollout-roll-back"),
    path("token-keys/", TokenKeyListView.as_view(), name="token-key-list"),
    path("token-keys/replace/", ReplaceTokenKeysView.as_view(), name="token-keys-replace"),
    path("policy/explain/", ExplainView.as_view(), name="policy-explain"),
    path("policy/who-can/", WhoCanView.as_view(), name="policy-who-can"),
    path("policy/import-plan/", ImportPlanView.as_view(), name="policy-import-plan"),
    path("policy-imports/", PolicyImportView.as_view(), name="policy-import"),
    path("policy/reach/", ReachView.as_view(), name="policy-reach"),
    path("policy/diff/", RoleDiffView.as_view(), name="policy-diff"),
]
