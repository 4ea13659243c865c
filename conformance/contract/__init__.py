"""The contract: clauses, schemas, open points, and the executable model."""
