"""Questions as data: cells, predictions, how they are measured and judged."""
