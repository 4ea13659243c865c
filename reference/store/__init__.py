"""The embedded store: one SQLite file, one thread that writes, a few that read."""
