"""What visitors write."""

from django.db import models


class Entry(models.Model):
    """One entry of the guest book."""

    text = models.CharField(max_length=200)
