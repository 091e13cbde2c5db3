"""Rollouts: ensembles, propagators, guards, reporters, checkpoints."""
