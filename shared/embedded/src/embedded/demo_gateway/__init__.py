"""A payment gateway that takes no money: a page with two buttons, and signed webhooks as a real one sends them.

A process of its own, for demos and tests; knows the services by their HTTP only.
"""
