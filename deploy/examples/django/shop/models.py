from django.conf import settings
from django.db import models


class Order(models.Model):
    """Refers to its owner by the primary key, before the gateway and behind it."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    text = models.CharField(max_length=100)
