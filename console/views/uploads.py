"""Files that are uploaded into a form: read into memory, bounded, never written down and never shown again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

MOST_OCTETS = 512 * 1024


class OctetsField(forms.FileField):
    """A small file; its clean value is its octets, empty if none was given."""

    def __init__(self, *, accept: str = "", most: int = MOST_OCTETS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.most = most
        if accept:
            self.widget.attrs["accept"] = accept

    def clean(self, data: Any, initial: Any = None) -> Any:
        """The octets."""
        if isinstance(data, UploadedFile) and (data.size or 0) > self.most:
            raise forms.ValidationError(f"The file is larger than {self.most // 1024:,} kB: this can not be it.")
        found = super().clean(data, initial)
        return found.read() if found else b""
