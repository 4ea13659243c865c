"""Traffic through proxies: what is planned, and the clients that send it."""
