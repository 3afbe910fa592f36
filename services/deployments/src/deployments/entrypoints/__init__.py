"""The ways in: messages of the bus and HTTP. Parse, command, result; no logic."""
