"""Bidirectional Forwarding Detection for BGP peers: RFC 5880 in asynchronous mode and with its
authentication, over a single hop (RFC 5881) or several (RFC 5883). packet, auth and session are
pure; detector is the shell."""
