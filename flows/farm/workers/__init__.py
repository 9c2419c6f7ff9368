"""One host: its slots, and a worker process for each. Never a manifest."""
