"""The embedded reference: start it, describe it as a target, restart it."""
