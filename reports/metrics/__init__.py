"""Figures that are computed from the records of a run."""
