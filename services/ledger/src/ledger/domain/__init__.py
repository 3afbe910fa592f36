"""What the ledger decides: events, states and the rules between them. Standard library only, no clock, no I/O."""
