"""The judge among strangers: foreign traffic, a second run, a target that gossips."""
