"""What people and the single-page app talk to: payments, balances, the marketplace, live updates.

Owns the payments that people begin and the purchases until their outcome is known; owns no money: that is the ledger's.
"""
