"""The contract that a target is held to: clauses, schemas and open points."""
