"""Writes of the console: operators, applications, the first run."""
