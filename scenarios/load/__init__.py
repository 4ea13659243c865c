"""A load run: the plan, the Locust process that executes it, and the evaluation of its results.

Nothing here writes the journal or starts a target: whoever composes a run does both, and hands
in the few steps that touch the target (the freshness probe, hooks) as callables.
"""
