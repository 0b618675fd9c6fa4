"""The embedded world: drawn people, and how its models are trained and judged."""
