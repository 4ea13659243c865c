"""Scripts that create the data files of the simulator.

Nothing here runs when traffic is drawn. They may import what the fleet must not (faker, scipy), and
their output is committed with a SHA-256 (`simulator/data/SHA256SUMS`).
"""
