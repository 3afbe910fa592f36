"""Names of the two notification channels. A notification is a hint; polling is the truth."""

RECORDS = "gridledger_bus_records"
GROUPS = "gridledger_bus_groups"
NOTIFY = "SELECT pg_notify($1, $2)"
