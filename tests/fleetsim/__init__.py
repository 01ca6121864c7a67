"""A fleet on one machine: many devices' series, replayed from real scrapes, on a real Prometheus."""
