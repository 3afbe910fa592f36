"""A stand-in for Stripe: its API, its pages, its webhooks."""
