"""Trajectories on disk and the training examples drawn from them."""
