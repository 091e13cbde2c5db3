"""From trajectories to a model file."""
