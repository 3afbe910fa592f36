"""Ways in: parse, make a command, give back the result. No decisions."""
