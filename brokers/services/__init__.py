"""The use cases of brokers."""

from brokers.services.access_files import roll_access_log
from brokers.services.access_tokens import GivenToken, give_access_token
from brokers.services.accounts import acknowledge_accounts
from brokers.services.adopting import Adoption, adopt_drift, adoption_of
from brokers.services.asking_reach import reach
from brokers.services.asking_who_can import who_can, who_can_do
from brokers.services.auth_chains import auth_chain_of, change_auth_chain, try_auth_chain
from brokers.services.certify_server import ServerChain, certify_server, server_chain_of
from brokers.services.changing import BrokerChange, change_broker, take_passwords
from brokers.services.checking import check_drift, compare_broker
from brokers.services.compiling import compile_policy
from brokers.services.converging import converge
from brokers.services.decision_secrets import mint_decision_secret, revoke_decision_secret
from brokers.services.disconnecting import disconnect, order_disconnect
from brokers.services.drift_choice import choose_on_drift
from brokers.services.evicting import evict
from brokers.services.explaining import explain_request
from brokers.services.first_files import FirstFile, first_file_of, write_first_file
from brokers.services.foreseeing import foresee_change
from brokers.services.knocking import knocking
from brokers.services.listener_profiles import (
    change_listener_profile,
    listener_profile_of,
    render_listener_profile,
)
from brokers.services.planning import apply_plan, plan_broker, render_broker
from brokers.services.presence import (
    note_events,
    replace_sessions,
)
from brokers.services.probing import last_probe_of, order_probe, probe_listeners, probe_under_way
from brokers.services.publishing_crl import push_crl
from brokers.services.registering import register_broker, remove_broker
from brokers.services.rollouts import start_rollout, watch_rollouts
from brokers.services.scaffolding import scaffold_mosquitto
from brokers.services.suggesting import draft_suggestions, suggest_changes
from brokers.services.token_keys import replace_token_keys, rotate_token_keys
from brokers.services.trust_bundles import trust_bundle_of

__all__ = [
    "Adoption",
    "BrokerChange",
    "FirstFile",
    "GivenToken",
    "ServerChain",
    "acknowledge_accounts",
    "adopt_drift",
    "adoption_of",
    "apply_plan",
    "auth_chain_of",
    "certify_server",
    "change_auth_chain",
    "change_broker",
    "change_listener_profile",
    "check_drift",
    "choose_on_drift",
    "compare_broker",
    "compile_policy",
    "converge",
    "disconnect",
    "draft_suggestions",
    "evict",
    "explain_request",
    "first_file_of",
    "foresee_change",
    "give_access_token",
    "knocking",
    "last_probe_of",
    "listener_profile_of",
    "mint_decision_secret",
    "note_events",
    "order_disconnect",
    "order_probe",
    "plan_broker",
    "probe_listeners",
    "probe_under_way",
    "push_crl",
    "reach",
    "register_broker",
    "remove_broker",
    "render_broker",
    "render_listener_profile",
    "replace_sessions",
    "replace_token_keys",
    "revoke_decision_secret",
    "roll_access_log",
    "rotate_token_keys",
    "scaffold_mosquitto",
    "server_chain_of",
    "start_rollout",
    "suggest_changes",
    "take_passwords",
    "trust_bundle_of",
    "try_auth_chain",
    "watch_rollouts",
    "who_can",
    "who_can_do",
    "write_first_file",
]
