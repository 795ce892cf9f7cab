"""Commands that open doors or read what came out; the `rater` command finds them by name."""
