"""What every HTTP client of trueup keeps to: limits, redirects, and text of a target as text.

The read client of `conformance` and the delivery and the reactor of `simulator` share no code with
each other; they share these rules, which docs/security.md states for users.
"""
