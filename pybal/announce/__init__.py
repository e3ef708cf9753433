"""Services' wishes to routes."""
