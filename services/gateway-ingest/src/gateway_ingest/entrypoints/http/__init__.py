"""HTTP: webhooks, and the list of what was quarantined."""
