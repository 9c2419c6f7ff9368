"""What this host has, which devices a render gets, and who holds them. No rendering, no files."""
