"""Simulated traffic of a proxy fleet, and its delivery to a target.

Every event is a pure function of a profile, a seed and its number. This package generates and sends
events; it does not evaluate what a target does with them.
"""
