"""Sockets, TLS, listening, addresses."""
