"""`make bench-full`: what only many wallets and a long time show. Takes up again where it was interrupted."""
