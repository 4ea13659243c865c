"""The header that a journal has to begin with, for tests of what follows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from trueup.reports.journal.records import SCHEMA, Header
from trueup.reports.journal.storage import JournalWriter


def header(**fields: Any) -> Header:
    """Return a header whose values no test looks at, except those given."""
    bare = Header(
        trueup="t",
        schema=SCHEMA,
        run="t",
        seed=1,
        started_at="-",
        scenario="t",
        target="t",
        base_url="-",
        level=0,
    )
    return msgspec.structs.replace(bare, **fields)


def journal_in(folder: Path, **fields: Any) -> JournalWriter:
    """Begin `journal.ndjson` in a folder, with a header that has these fields."""
    writer = JournalWriter(folder / "journal.ndjson")
    writer.write(header(**fields))
    return writer
