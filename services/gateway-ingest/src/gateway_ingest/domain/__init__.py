"""What gateway-ingest decides: whether a webhook is genuine, and what it says about money. Standard library only."""
