"""The deployments service: takes the commission, drives the grid, and lets the ledger refund what fails.

Owns the life of deployments. Moves no money itself: it says what happened, and the ledger does the rest.
"""
