"""One bounded HTTP client."""
