"""The published language of Gridledger: what the services say to each other, and how amounts are written.

Owns the CloudEvents envelope, the topics, the messages with their JSON Schemas, amounts on the wire and payment
references. It does no I/O, knows no service, and is never imported by a domain.
"""
