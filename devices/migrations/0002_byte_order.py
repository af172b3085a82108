"""PostgreSQL: names compare octet by octet, as SQLite does, so that prefixes and keyset pages are ranges of an index."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

_COLUMNS = (("devices_device", "name"), ("devices_device", "auth_id"), ("devices_device", "client_id"))


def _collate(schema_editor: BaseDatabaseSchemaEditor, collation: str) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, column in _COLUMNS:
        schema_editor.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE varchar(64) COLLATE "{collation}"')


def forwards(_apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _collate(schema_editor, "C")


def backwards(_apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _collate(schema_editor, "default")


class Migration(migrations.Migration):
    dependencies = [("devices", "0001_initial")]

    operations = [migrations.RunPython(forwards, backwards)]
