"""Wallets: one atomic Redis function changes them, this package calls it. See README.md for what must never happen."""
