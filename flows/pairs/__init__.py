"""Pairs rendered in this process: the flow, its steps, slots, progress and signals. Never another host."""
