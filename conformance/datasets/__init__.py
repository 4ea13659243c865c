"""Events that the checks inject, and the stages at which they do so."""
