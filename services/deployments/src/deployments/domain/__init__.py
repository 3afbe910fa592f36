"""What the service decides: events, commands, the split of a price. Standard library only, no I/O, no clock."""
