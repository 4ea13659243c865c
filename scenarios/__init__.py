"""The composition: scenarios, locustfiles, the command line and the runner that wires one run.

It knows everyone but the reference, which it starts as a process and reaches over HTTP.
"""
