"""Bidirectional Forwarding Detection for BGP peers: RFC 5880 in asynchronous mode, single hop
(RFC 5881). packet and session are pure; detector is the shell."""
