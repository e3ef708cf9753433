"""`pybalctl`, the client of the control socket."""
