"""Webhooks: what happened, told to a platform's, a company's or an end user's own address, signed and at least once."""
