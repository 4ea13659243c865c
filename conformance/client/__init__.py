"""HTTP client, rate limiter, control hooks, session and recorder of a check run."""
