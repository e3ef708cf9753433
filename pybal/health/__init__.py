"""What the director knows of itself."""
