"""What one process leaves to the next: open sockets, and what has to be known of them."""
