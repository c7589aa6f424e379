"""How the pipeline is, for Prometheus."""
