"""One service's care: policy, events, servers, what should stand."""
