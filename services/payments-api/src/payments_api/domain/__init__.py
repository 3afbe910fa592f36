"""What payments-api decides: payments, quotes. Standard library only."""
