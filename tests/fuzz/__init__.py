"""Hostile input of every kind that the program reads: `make fuzz`. Each is read in a process with bounds."""
