"""The reference implementation: the whole tracking API of the guide, in a process of its own.

It is reached over HTTP only and imports nothing of the packages that check or load it.
"""
