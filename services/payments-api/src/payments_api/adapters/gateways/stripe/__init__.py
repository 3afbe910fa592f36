"""Stripe: Checkout, PaymentIntents, saved cards, subscriptions."""
