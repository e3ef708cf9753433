"""IPVS: model, plan (pure), kernel port with its adapters, and the reconciling manager."""
