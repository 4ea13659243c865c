"""What differs between runs of one target, and between two targets."""
