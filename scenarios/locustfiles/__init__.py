"""Locustfiles. Only these import Locust, and they run in a child process."""
