"""Pairs to finished pictures: plan, steps, checkpoints, records, history. Never Prefect."""
