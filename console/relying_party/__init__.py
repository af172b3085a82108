"""Seeing a certificate as those see it who have to trust it: over HTTP, from our own public addresses alone."""
