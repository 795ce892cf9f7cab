"""What moves: doors that bring usage in, publishers and writers that carry verdicts out."""
