"""How real the traffic is: figures of a fleet's events beside controls that are not real.

It measures and shows; it changes nothing. Floats are welcome here: no figure of this package
flows back into an event.
"""

from trueup.simulator.realism.measures import Figure, Measured, measure

__all__ = ["Figure", "Measured", "measure"]
