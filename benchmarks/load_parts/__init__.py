"""The parts of `benchmarks.load`, one file an idea."""
