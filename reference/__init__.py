"""The whole tracking system of the guide, embedded, in a process of its own.

It is reached over HTTP alone and imports nothing from the rooms that judge or load it.
"""
