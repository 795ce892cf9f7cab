"""The wire: usage events, rated records, lifecycle events and the adapters of foreign formats."""
