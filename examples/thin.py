"""Cut a store down to what a training needs, so that it fits where disk or network are small.

    python examples/thin.py water.h5 water-train.h5 --frames 5000

Of each trajectory the first frames are kept, positions to 0.00001 Å and velocities to 0.000001 Å/fs, compressed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from forcefree.data.compact import FOR_TRAINING, compact_copy


def main() -> None:
    """Write the smaller store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--frames", type=int, help="of each trajectory; all if not given")
    parser.add_argument("--first", type=int, default=0, help="first trajectory that is kept")
    parser.add_argument("--last", type=int, help="last one; all that follow if not given")
    arguments = parser.parse_args()
    runs = slice(arguments.first, None if arguments.last is None else arguments.last + 1)
    compact_copy(arguments.source, arguments.target, stop=arguments.frames, runs=runs, digits=FOR_TRAINING)


if __name__ == "__main__":
    main()
