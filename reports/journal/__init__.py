"""The journal of a run: typed records, storage and redaction."""
