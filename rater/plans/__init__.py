"""Plans: what is sold, read from files, and its arithmetic: periods, proration, allowances, changes (docs/plans.md)."""
