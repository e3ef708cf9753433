"""Health monitors."""
