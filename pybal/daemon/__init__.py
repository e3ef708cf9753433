"""The running daemon: its parts, made of the settings, started and stopped in order."""
