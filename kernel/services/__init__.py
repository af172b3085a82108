"""Writing the journal, and carrying its wake-ups through to their end."""

from kernel.services.insert_rows import column_converter, insert_rows
from kernel.services.record_entry import record, record_many
from kernel.services.run_wakeup import Body, Defer, Wake, run_wakeup
from kernel.services.send_wakeups import send, sweep

__all__ = [
    "Body",
    "Defer",
    "Wake",
    "column_converter",
    "insert_rows",
    "record",
    "record_many",
    "run_wakeup",
    "send",
    "sweep",
]
