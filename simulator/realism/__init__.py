"""How realistic the traffic is: figures of a fleet's events beside controls that are not realistic.

Floats are allowed here: no figure of this package affects an event.
"""

from trueup.simulator.realism.measures import Figure, Measured, measure

__all__ = ["Figure", "Measured", "measure"]
