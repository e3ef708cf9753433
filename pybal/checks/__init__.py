"""Programs for monitoring that works by Nagios' conventions: one line, and an exit status."""
