"""Orders brought to their end, by whichever process comes first."""
