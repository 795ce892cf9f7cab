"""What the engine costs an event, by part and end to end, with the ledger checked after each run (`make bench`)."""
