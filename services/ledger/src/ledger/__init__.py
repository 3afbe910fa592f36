"""The only owner of money: event store, balances, journal."""
