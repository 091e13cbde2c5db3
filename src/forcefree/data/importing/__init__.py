"""Existing trajectories, one file per format, brought into the store with explicit units."""
