"""Increments: what is billed is whole steps, and each step started is paid.

A call of 132 s at 60/1 starts one step of 60 s and 72 of 1 s: 132 s. At 60/60 it starts three of 60 s: 180 s. A carried
total of 250 kB under 100 kB steps has three paid, so the next 40 kB start none and the 40 kB after them start one.
"""

from __future__ import annotations


def billed_steps(paid: int, end: int, first: int, following: int) -> int:
    """Quantity of the steps that start before `end`, where all before `paid` is paid already.

    Steps are laid from 0: one of `first`, then of `following`. A step that starts at `end` is not started.
    """
    if end <= paid:
        return 0
    if paid == 0:
        if end <= first:
            return first
        return first - (first - end) // following * following
    return -((paid - end) // following) * following


def paid_until(used: int, first: int, following: int) -> int:
    """How far `used` is covered by the steps it started; 0 if nothing was used."""
    return billed_steps(0, used, first, following) if used else 0
