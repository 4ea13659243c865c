"""Counter-based random words and exact quantile tables."""
