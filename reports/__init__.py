"""Journal, results, metrics and reports of a run. This package imports no other of trueup."""
