"""The HTTP interface of the reference: routes, authentication and responses."""
