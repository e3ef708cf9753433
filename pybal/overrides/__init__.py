"""What operators have said for a time."""
