"""A stand-in for ClickPesa: its API, its page, its webhooks."""
