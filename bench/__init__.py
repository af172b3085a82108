"""The benchmarks: `make bench`, or `make bench ONLY=idle,revoke`."""
