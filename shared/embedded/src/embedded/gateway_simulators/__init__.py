"""Stand-ins for the gateways' own servers: real interfaces, pay pages, signed webhooks. No money moves.

For demos and tests; knows the services by their HTTP only.
"""

STRIPE_PATH = "/stripe"
"""Where the simulated Stripe is in the demo gateway's process."""
