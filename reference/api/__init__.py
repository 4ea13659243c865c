"""The HTTP face of the reference: routes, who may call them, and what they answer."""
