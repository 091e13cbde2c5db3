"""Programs that integrate reference dynamics: ASE step by step, LAMMPS and OpenMM natively."""
