"""Run one scenario: phases, traffic, run directory and re-evaluation."""
