"""The invoicing store: tables, the writer that follows the topics, and what people ask of them."""
