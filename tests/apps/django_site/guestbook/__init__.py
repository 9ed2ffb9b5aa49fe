"""The one Django application of the site."""
