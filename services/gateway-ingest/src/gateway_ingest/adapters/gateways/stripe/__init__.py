"""Stripe's webhooks, read into facts."""
