"""Five real systems' rules, each played through the HTTP API on the example plans, with the exact figures."""
