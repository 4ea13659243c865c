"""The fleet: simulated proxies whose every byte is known in advance.

It draws traffic and delivers it. It knows nothing of laws and judges nobody.
"""
