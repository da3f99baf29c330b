"""The clients with `xmpptap serve` that `make check` tries, as tests: see serve.py."""

import sys

import serve

sys.exit(serve.main(["--quick"]))
