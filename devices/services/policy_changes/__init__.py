"""Changes of policy as a whole: drafted, rebased, approved, applied, and rolled back."""

from devices.services.policy_changes.applying import apply_change
from devices.services.policy_changes.approving import approve_change, reject_change, withdraw_change
from devices.services.policy_changes.asking_for_approval import set_policy_approval
from devices.services.policy_changes.drafting import draft_change, rewrite_change
from devices.services.policy_changes.rebasing import rebase_change
from devices.services.policy_changes.rolling_back import roll_back_change

__all__ = [
    "apply_change",
    "approve_change",
    "draft_change",
    "rebase_change",
    "reject_change",
    "rewrite_change",
    "roll_back_change",
    "set_policy_approval",
    "withdraw_change",
]
