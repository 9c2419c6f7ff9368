"""What people type: one file a command holds its help, its options and what it does."""
