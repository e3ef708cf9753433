"""IPVS: model, operations and what is outstanding (pure), kernel port with its adapters, and the
reconciling manager."""
