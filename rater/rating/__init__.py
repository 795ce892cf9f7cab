"""Rating: a pure function of tariff, usage and counters. No clock, no I/O, no globals."""
