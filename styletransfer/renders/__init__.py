"""Plans to finished pictures: a pair fetched, rendered, stored; checkpoints, previews, summary. Never Prefect."""
