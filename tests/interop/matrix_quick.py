"""The rows of the matrix that `make check` tries, as tests: see matrix.py."""

import sys

import matrix

sys.exit(matrix.main(["--quick", "--tap"]))
