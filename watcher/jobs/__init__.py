"""The queue: the only place that knows RQ."""
