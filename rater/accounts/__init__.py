"""Whose wallets and SIMs they are: organisations, their companies, and the people who may act for them."""
