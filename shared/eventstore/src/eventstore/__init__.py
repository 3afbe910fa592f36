"""An append-only log of events: append, load, follow, project, verify.

The records, the mapper and upcasting come from the eventsourcing library; the recorders are ours, because the
library's own are synchronous. Knows nothing of any service's events.
"""
