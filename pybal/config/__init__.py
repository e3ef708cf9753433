"""Configuration: text in, frozen settings or precise problems out. Pure."""
