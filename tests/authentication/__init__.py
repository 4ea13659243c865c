"""Tokens, signatures and certificates, against servers that look at them."""
