"""Conformance tests of a target over HTTP: what it must do, and evidence of what it did.

It shares no import, helper or constant with the reference, and none with the fleet.
"""
