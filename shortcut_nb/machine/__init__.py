"""What this machine has: libraries and their versions, weights, memory; and what fits it."""
