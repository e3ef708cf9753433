"""A changed pybal.conf: what differs, what that touches, how a running daemon goes over to it."""
