"""The embedded BGP speaker: announces host routes, speaks the protocol exactly.

Pure: constants, values, the codec (header, open, update, …), negotiation, fsm, rib.
Shell: sockets, connection, peering, speaker. Nothing here knows of IPVS or monitors.
"""
