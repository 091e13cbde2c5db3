"""True trajectories from any ASE calculator."""
