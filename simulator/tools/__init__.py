"""Scripts that made the data files of this room, kept so that anyone can make them again.

Nothing here runs when traffic is drawn. They may import what the fleet itself must not
(faker, scipy), and their output is committed with a SHA-256 (`simulator/data/SHA256SUMS`).
"""
