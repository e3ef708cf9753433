"""What operators, checks and Prometheus read over HTTP."""
