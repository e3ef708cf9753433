"""The process: time, log, signals."""
