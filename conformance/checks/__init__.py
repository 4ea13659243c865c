"""The checks, and the rules by which findings become verdicts."""
