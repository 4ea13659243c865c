"""Mutation-test the checks against every known fault of the reference."""
