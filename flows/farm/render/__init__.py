"""One render run: pairs of one manifest in one slot. Never asks for other runs."""
