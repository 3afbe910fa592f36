"""The outside world of the ledger: its database, and what it publishes."""
