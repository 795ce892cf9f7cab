"""The engine: money, tariffs, rating, wallets and the pipeline that joins them."""
