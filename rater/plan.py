"""A plan, for what only reads its tariff, zone and services (rater/plans/model.py)."""

from rater.plans.model import Plan

__all__ = ["Plan"]
