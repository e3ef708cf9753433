"""Files in the state directory."""
