"""Raises while it is imported."""

raise RuntimeError("this application cannot be imported")
