"""The stages of a cell, by name; apart from what makes them, so that no torch is loaded."""

STAGES = ("prior", "protect", "purify", "train", "sample", "probe")
"""What is made of a cell, in this order; the folders of the store."""
