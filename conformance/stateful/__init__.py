"""Stateful tests: random sequences of steps, compared with a model."""
