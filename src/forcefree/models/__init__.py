"""The forecaster contract, one file per system, and the bundled weights."""
