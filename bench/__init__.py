"""Benchmarks that anyone can run: `make bench`, or `python -m bench [PART ...] [--quick]`. See docs/benchmarks.md."""
