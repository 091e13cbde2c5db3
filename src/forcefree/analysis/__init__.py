"""What a trajectory says."""
