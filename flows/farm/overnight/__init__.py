"""What happens by the clock: the inbox, schedules, cleaning up."""
