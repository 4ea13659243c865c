"""Figures that are computed from a run's records."""
