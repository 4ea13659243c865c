"""The judge: what an implementation must do, asked of it over HTTP, and said with evidence.

It shares no import, helper or constant with the reference, and none with the fleet.
"""
