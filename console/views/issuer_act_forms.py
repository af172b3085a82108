"""The forms of what is done to an issuer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django import forms

from console.views.forms import ConsoleForm
from console.views.issuer_forms import ALGORITHMS, CERTIFICATES, TYPED, TypedForm
from console.views.uploads import OctetsField
from pki.core.values import Issuer, KeyAlgorithm, ReasonCode

_REASONS = (
    (ReasonCode.CA_COMPROMISE, "Its key may be known to others (cACompromise)"),
    (ReasonCode.KEY_COMPROMISE, "Its key may be known to others (keyCompromise)"),
    (ReasonCode.SUPERSEDED, "Replaced by another (superseded)"),
    (ReasonCode.CESSATION_OF_OPERATION, "Out of service (cessationOfOperation)"),
    (ReasonCode.AFFILIATION_CHANGED, "Changed hands (affiliationChanged)"),
    (ReasonCode.PRIVILEGE_WITHDRAWN, "No longer entitled (privilegeWithdrawn)"),
    (ReasonCode.UNSPECIFIED, "Not said"),
)


class RollOverForm(ConsoleForm):
    """What the successor is called; empty for the next generation of what there is."""

    slug = forms.CharField(
        max_length=50, required=False, widget=forms.TextInput(attrs=TYPED),
        help_text="Empty for the next generation: north-ca is followed by north-ca-g2.",
    )  # fmt: skip
    common_name = forms.CharField(label="Common name", max_length=64, required=False)
    key_algorithm = forms.ChoiceField(label="Key", choices=ALGORITHMS)
    days = forms.IntegerField(
        label="Valid for, in days", min_value=1, max_value=9131, required=False, help_text="Empty for the usual."
    )

    def values(self) -> dict[str, Any]:
        """As the service takes them."""
        given = self.cleaned_data
        return {
            "slug": given["slug"],
            "common_name": given["common_name"],
            "key_algorithm": KeyAlgorithm(given["key_algorithm"]),
            "validity": timedelta(days=given["days"]) if given["days"] else None,
        }


class CrossSignForm(ConsoleForm):
    """Who signs: one of ours, or a CA elsewhere whose certificate is brought."""

    by = forms.ChoiceField(label="Signed by")
    days = forms.IntegerField(
        label="Valid for, in days", min_value=1, max_value=9131, required=False,
        help_text="Empty for as long as both are valid. Not for one that a CA elsewhere signed.",
    )  # fmt: skip
    certificate = OctetsField(
        label="The certificate that a CA elsewhere signed", required=False, accept=CERTIFICATES, help_text="PEM or DER."
    )

    def __init__(self, *args: Any, signers: Sequence[Issuer], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.signers = {each.slug: each for each in signers}
        choices = [(slug, f"{each.name} ({slug})") for slug, each in self.signers.items()]
        self.fields["by"].choices = [*choices, ("", "a CA elsewhere")]  # type: ignore[attr-defined]
        self.fields["by"].required, self.fields["by"].quiet = False, True  # type: ignore[attr-defined]
        self.fields["by"].initial = next(iter(self.signers), "")

    def signer(self) -> Issuer | None:
        """Whom of ours; None for a CA elsewhere."""
        return self.signers.get(self.cleaned_data["by"])

    def validity(self) -> timedelta | None:
        """For how long; None for as long as can be."""
        return timedelta(days=self.cleaned_data["days"]) if self.cleaned_data["days"] else None

    def clean(self) -> dict[str, Any]:
        """A CA elsewhere gives a certificate."""
        given = self.cleaned_data
        if not given.get("by") and not given.get("certificate") and not self.errors:
            self.add_error("certificate", "Choose the file with the certificate that the CA elsewhere signed.")
        return given


class RetireForm(TypedForm):
    """Which issuer is retired."""


class RevokeIssuerForm(TypedForm):
    """Why an issuer is revoked, and which."""

    reason = forms.ChoiceField(
        choices=[(reason.value, words) for reason, words in _REASONS],
        help_text="It stands in the CRL and in OCSP answers of the CA above.",
    )
    field_order = ("reason", "confirm", "note")


class SignaturesForm(ConsoleForm):
    """What came back from the offline CA."""

    file = OctetsField(
        label="The file that came back", accept=".signed,.json", help_text="As sign-offline wrote it beside the other."
    )
