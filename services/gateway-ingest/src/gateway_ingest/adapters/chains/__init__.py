"""Nodes of chains behind one port: whatever speaks Bitcoin Core's interface, and whatever speaks Ethereum's."""
