"""Stateful property-based tests: generate, run and evaluate histories."""
