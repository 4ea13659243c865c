"""A load run: the plan, the Locust child that carries it out, and the judgement of what came.

Nothing here writes the journal or starts a target: whoever composes a run does both, and hands
in the few steps that touch the target (reading a marker, reconciling) as callables.
"""
