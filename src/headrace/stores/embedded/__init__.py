"""The parts of the embedded PostgreSQL's launcher, `headrace.stores.embedded_postgres`."""
