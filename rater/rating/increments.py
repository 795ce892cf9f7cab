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


def residue_range(used: int, quantity: int, step: int) -> tuple[int, int]:
    """Residues of the total before (modulo `step`) for which `quantity` starts as many steps as after `used`.

    With quantity = k steps and m more (0 < m): from 0 it starts k + 1; from 1 .. step - m it starts k, since what is
    left of the paid step holds m; from there on k + 1. With m = 0 it starts k from anywhere.
    """
    residue, over = used % step, quantity % step
    if over == 0:
        return 0, step - 1
    if residue == 0:
        return 0, 0
    if residue <= step - over:
        return 1, step - over
    return step - over + 1, step - 1
