"""Pairs to finished pictures: plan, records, checkpoints, contact sheet. Never Prefect."""
