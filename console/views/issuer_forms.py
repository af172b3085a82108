"""The forms that make issuers. What is uploaded or typed as a secret is never rendered back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms

from console.views.forms import ConsoleForm
from console.views.uploads import OctetsField
from pki.core.values import Custody, Issuer, IssuerId, KeyAlgorithm

TYPED = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
CERTIFICATES = ".pem,.crt,.cer,.der,.p7b"
_ALGORITHMS = {
    KeyAlgorithm.ECDSA_P256: "ECDSA P-256: fast, small, understood by every device",
    KeyAlgorithm.ECDSA_P384: "ECDSA P-384",
    KeyAlgorithm.RSA_3072: "RSA 3072, for peers that know no elliptic curves",
    KeyAlgorithm.RSA_4096: "RSA 4096, slow to sign",
    KeyAlgorithm.ED25519: "Ed25519, where every peer knows it",
}
_CUSTODIES = {
    Custody.ENCRYPTED: "In the database, encrypted under the master key",
    Custody.FILE: "In a file of its own, encrypted under the master key",
    Custody.PKCS11: "In the hardware security module (PKCS#11), and never outside of it",
}
_SHARDS = (
    "0 for one CRL. With 128, a fleet of a million is spread over 128 small CRLs; fixed in each certificate when it is "
    "issued."
)


ALGORITHMS = [
    (each.value, _ALGORITHMS.get(each, f"{each.value.upper()}, post-quantum: few peers know it yet"))
    for each in KeyAlgorithm
]


def _algorithm() -> forms.ChoiceField:
    return forms.ChoiceField(label="Key", choices=ALGORITHMS)


def _custody() -> forms.ChoiceField:
    return forms.ChoiceField(
        label="Where its key is kept", choices=[(each.value, _CUSTODIES[each]) for each in Custody]
    )


def _days(initial: int, longest: int) -> forms.IntegerField:
    return forms.IntegerField(label="Valid for, in days", min_value=1, max_value=longest, initial=initial)


def _shards() -> forms.IntegerField:
    return forms.IntegerField(label="CRL shards", min_value=0, max_value=1024, initial=0, help_text=_SHARDS)


class NamedForm(ConsoleForm):
    """What an issuer is called in addresses."""

    slug = forms.CharField(
        label="Slug",
        max_length=50,
        widget=forms.TextInput(attrs={**TYPED, "placeholder": "north-root", "pattern": "[a-z0-9]+(-[a-z0-9]+)*"}),
        help_text="It stands in every address of its CRL and OCSP, so it can not be changed: a-z, 0-9 and hyphens.",
    )


class _NewKeyForm(NamedForm):
    common_name = forms.CharField(
        label="Common name",
        max_length=64,
        widget=forms.TextInput(attrs={**TYPED, "placeholder": "Acme Root 2027"}),
        help_text="What people see as the issuer in each certificate.",
    )
    key_algorithm = _algorithm()
    custody = _custody()
    crl_shards = _shards()

    def key_values(self) -> dict[str, Any]:
        """What every service that makes a key for an issuer wants to know."""
        given = self.cleaned_data
        return {
            "slug": given["slug"],
            "common_name": given["common_name"],
            "key_algorithm": KeyAlgorithm(given["key_algorithm"]),
            "custody": Custody(given["custody"]),
            "crl_shards": given["crl_shards"],
        }


class RootForm(_NewKeyForm):
    """A self-signed root."""

    days = _days(3653, 9131)
    field_order = ("slug", "common_name", "key_algorithm", "custody", "days", "crl_shards")

    def values(self) -> dict[str, Any]:
        """As the service takes them."""
        return {**self.key_values(), "validity": timedelta(days=self.cleaned_data["days"])}


class IssuingForm(_NewKeyForm):
    """A CA below one of ours."""

    parent = forms.ChoiceField(label="Signed by")
    days = forms.IntegerField(
        label="Valid for, in days",
        min_value=1,
        max_value=5479,
        required=False,
        help_text="Empty for five years, or less where the CA above ends before.",
    )
    path_length = forms.IntegerField(
        label="How many CAs may be below it", min_value=0, max_value=5, required=False,
        help_text="0 for one that signs devices. Empty for what the profile issuing-ca says.",
    )  # fmt: skip
    field_order = ("parent", "slug", "common_name", "key_algorithm", "custody", "days", "path_length", "crl_shards")

    def __init__(self, *args: Any, parents: Iterable[Issuer], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parents = {each.slug: each for each in parents}
        choices = [(slug, f"{each.name} ({slug})") for slug, each in self.parents.items()]
        self.fields["parent"].choices = choices  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        """As the service takes them."""
        given = self.cleaned_data
        validity = timedelta(days=given["days"]) if given["days"] else None
        parent = self.parents[given["parent"]].id
        return {**self.key_values(), "parent": parent, "validity": validity, "path_length": given["path_length"]}


class SuccessorForm(NamedForm):
    """What may take another issuer's place; `successible` are those that it may be."""

    replaces = forms.ChoiceField(
        label="Takes the place of", required=False, help_text="Empty for none. That one signs no new certificates then."
    )

    def __init__(self, *args: Any, successible: Iterable[Issuer], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.successible = {each.slug: each for each in successible}
        choices = [(slug, f"{each.name} ({slug})") for slug, each in self.successible.items()]
        self.fields["replaces"].choices = [("", "none"), *choices]  # type: ignore[attr-defined]

    def replaced(self) -> IssuerId | None:
        """Whose place it takes."""
        found = self.successible.get(self.cleaned_data["replaces"])
        return found.id if found else None


class RequestForm(SuccessorForm, _NewKeyForm):
    """A CA whose certificate is to come from a CA elsewhere."""

    organization = forms.CharField(max_length=64, required=False)
    organizational_unit = forms.CharField(max_length=64, required=False)
    path_length = forms.IntegerField(
        label="How many CAs may be below it", min_value=0, max_value=5, initial=0, help_text="What is asked for."
    )

    def values(self) -> dict[str, Any]:
        """As the service takes them."""
        given = self.cleaned_data
        return {
            **self.key_values(),
            "replaces": self.replaced(),
            "organization": given["organization"],
            "organizational_unit": given["organizational_unit"],
            "path_length": given["path_length"],
        }


class _CertificateForm(NamedForm):
    certificate = OctetsField(label="Certificate", accept=CERTIFICATES, help_text="PEM or DER.")


class TrustForm(_CertificateForm):
    """A CA that is only believed."""

    def values(self) -> dict[str, Any]:
        """As the service takes them."""
        return {"slug": self.cleaned_data["slug"], "certificate": self.cleaned_data["certificate"]}


def _chain() -> OctetsField:
    return OctetsField(
        label="CAs above it", required=False, accept=CERTIFICATES,
        help_text="One file of PEM up to the root; not needed for those that this domain has already.",
    )  # fmt: skip


def _crl() -> OctetsField:
    return OctetsField(
        label="Its last CRLs", required=False, accept=".crl,.pem,.der",
        help_text="What it revoked before stays revoked, and our next CRL has a higher number. At most 512 kB here.",
    )  # fmt: skip


class OfflineForm(SuccessorForm, _CertificateForm):
    """A CA whose key stays elsewhere."""

    chain = _chain()
    crl = _crl()

    def values(self) -> dict[str, Any]:
        """As the service takes them."""
        given = {name: self.cleaned_data[name] for name in ("slug", "certificate", "chain", "crl")}
        return {**given, "replaces": self.replaced()}


class ImportForm(SuccessorForm):
    """A CA made elsewhere, whose key comes here: certificate and key, or one PKCS#12."""

    certificate = OctetsField(label="Certificate", required=False, accept=CERTIFICATES, help_text="PEM or DER.")
    key = OctetsField(
        label="Private key", required=False, accept=".pem,.key,.der,.p8",
        help_text="PEM or DER. It is encrypted before it is stored, and is never shown or downloaded again.",
    )  # fmt: skip
    pkcs12 = OctetsField(
        label="Or both in one PKCS#12", required=False, accept=".p12,.pfx", help_text="In place of the two above."
    )
    passphrase = forms.CharField(
        label="Passphrase of the key or PKCS#12",
        required=False,
        max_length=1_024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False),
    )
    chain = _chain()
    crl = _crl()
    custody = _custody()
    crl_shards = _shards()

    def clean(self) -> dict[str, Any]:
        """One way or the other."""
        given = self.cleaned_data
        if not given.get("pkcs12") and not (given.get("certificate") and given.get("key")):
            self.add_error("certificate", "Give the certificate and its key, or one PKCS#12.")
        return given

    def values(self) -> dict[str, Any]:
        """As the service takes them."""
        given = dict(self.cleaned_data)
        return {**given, "custody": Custody(given["custody"]), "replaces": self.replaced()}


class InstallForm(ConsoleForm):
    """What a CA elsewhere made of our request."""

    certificate = OctetsField(label="Certificate", accept=CERTIFICATES, help_text="PEM or DER, as the CA gave it.")
    chain = _chain()

    def values(self) -> dict[str, Any]:
        """As the service takes them."""
        return {"certificate": self.cleaned_data["certificate"], "chain": self.cleaned_data["chain"]}


class TypedForm(ConsoleForm):
    """An act that has to be confirmed by typing a name."""

    confirm = forms.CharField(label="Type the slug to confirm", max_length=64, widget=forms.TextInput(attrs=TYPED))
    note = forms.CharField(label="Note", required=False, max_length=500, help_text="For the journal.")

    def __init__(self, *args: Any, slug: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.slug = slug
        self.fields["confirm"].label = f"Type {slug} to confirm"

    def clean_confirm(self) -> str:
        """It has to be the issuer's own."""
        if self.cleaned_data["confirm"].strip() != self.slug:
            raise forms.ValidationError(f"This is not {self.slug}: nothing was done.")
        return self.slug
