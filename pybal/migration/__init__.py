"""Other balancers' configurations -> pybal.conf and pool lists."""
