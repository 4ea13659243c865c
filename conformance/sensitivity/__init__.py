"""Sensitivity: mutants of recorded responses, and which of them the verdicts notice."""
