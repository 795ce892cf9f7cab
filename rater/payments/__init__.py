"""Payments: what one is, and how it goes on when a provider has answered. Pure; the calls are in streams/payments."""
