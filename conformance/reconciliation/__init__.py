"""Reconciliation of fleet and load traffic with what a target reports."""
