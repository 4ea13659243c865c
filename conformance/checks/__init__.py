"""The checks, one file a subject, and how their findings become verdicts."""
