"""A Prefect server of one's own, and the connection to any. Never a pair."""
