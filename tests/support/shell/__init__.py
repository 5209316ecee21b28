"""The shell as a model: what the workers do to Kafka, disks and ClickHouse, one step at a time.

Read `engine`, `sink` and `ingest` for the protocol, `broker` for what Kafka promises, `cluster` for what may go wrong.
"""
