"""Reconcile delivered fleet traffic with what the target reports."""
