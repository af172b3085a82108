from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured


class PkiConfig(AppConfig):
    name = "pki"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from pki.adapters.weak_key_lists import read_key_list
        from pki.conf import weak_key_lists
        from pki.core.weak_keys import BadKeyList, use_lists

        try:
            use_lists(read_key_list(path) for path in weak_key_lists())
        except BadKeyList as error:
            raise ImproperlyConfigured(f"GATEHOUSE_WEAK_KEY_LISTS: {error.detail}") from error
