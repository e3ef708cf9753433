"""The ledger: what has happened, and why; in memory and, bounded, on the disk."""
