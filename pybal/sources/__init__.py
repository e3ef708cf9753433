"""Pool sources: observers that publish the list of real servers of a service."""
