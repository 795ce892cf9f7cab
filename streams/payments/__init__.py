"""Payments as they move: providers, the desk that makes them, timers, and refills that are asked for by themselves."""
