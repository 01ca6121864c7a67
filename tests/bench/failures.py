"""What makes the benchmark worthless."""


class MeasurementFailed(Exception):
    """A figure could not be taken: not the same as one that misses its goal."""
