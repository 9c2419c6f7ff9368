"""The farm: the same manifests, submitted to a Prefect server and rendered by workers on any number of hosts."""
