"""Runs on an account that others use: foreign traffic, a second run, a target that repeats keys."""
