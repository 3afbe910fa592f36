"""Use cases: take a webhook in, keep it, answer only when it is durable."""
