"""The one sort of form: errors beside the field, nothing typed is lost."""

from __future__ import annotations

from typing import Any

from django import forms

from kernel.core.errors import DomainError


class ConsoleForm(forms.Form):
    """A plain form whose controls look like the console's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            choice = isinstance(field.widget, forms.Select)
            field.widget.attrs.setdefault("class", "form-select" if choice else "form-control")

    def add_fault(self, error: DomainError) -> None:
        """Puts what a service refused beside the fields that it names, or above all of them."""
        placed = False
        for fault in error.errors:
            name = fault.pointer.strip("/").partition("/")[0]
            if name in self.fields:
                self.add_error(name, fault.detail)
                placed = True
        if not placed:
            self.add_error(None, error.detail)


class TypedNameForm(ConsoleForm):
    """The name of what something is done to that can not be undone: it has to be typed."""

    name = forms.CharField(
        label="Type its name to confirm",
        max_length=64,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )

    def __init__(self, *args: Any, expected: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._expected = expected

    def clean_name(self) -> str:
        """It has to be its own."""
        if self.cleaned_data["name"] != self._expected:
            raise forms.ValidationError(f"This is not {self._expected}: nothing was done.")
        return self._expected
