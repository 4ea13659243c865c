"""The traffic model of a fleet: population, arrivals, sizes and outcomes."""
