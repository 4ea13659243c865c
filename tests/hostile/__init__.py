"""Every HTTP client of trueup against servers that misbehave on purpose."""
