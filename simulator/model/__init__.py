"""The traffic model: what the events of a fleet are drawn from."""
