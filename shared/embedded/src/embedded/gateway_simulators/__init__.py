"""Stand-ins for the gateways' own servers: real interfaces, pay pages, signed webhooks. No money moves.

For demos and tests; knows the services by their HTTP only.
"""

STRIPE_PATH = "/stripe"
CLICKPESA_PATH = "/clickpesa"
BANK_PATH = "/bank"
COINS_PATH = "/coins"
"""Where each of them is in the demo gateway's process."""
