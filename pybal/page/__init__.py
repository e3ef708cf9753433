"""The status page: what is known, as HTML for people."""
