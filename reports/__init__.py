"""The facts of a run and what people read of them. Reports know no other room."""
