"""People and programs to try the example with. Everybody is made up; the secrets are printed into files beside it."""

from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from rest_framework_api_key.models import APIKey

from shop.models import Order

TOTP_KEY = "20e808553d290cb61b9e9c14c32c32cff86cf87c"


class Command(BaseCommand):
    help = "Make two users, an API key, a second factor, backup codes and some orders."

    def handle(self, *args, **options):
        users = get_user_model().objects
        users.create_user("bert", "bert@example.org", "bert sings in the bath")
        anna = users.create_user("anna", "anna@example.org", "anna likes long sentences")
        Order.objects.create(owner=anna, text="a lamp for anna")
        TOTPDevice.objects.create(user=anna, name="phone", key=TOTP_KEY)
        codes = StaticDevice.objects.create(user=anna, name="paper")
        for code in ["dtv76lg4", "om3mmell"]:
            codes.token_set.create(token=code)
        _, key = APIKey.objects.create_key(name="stocktaking")
        Path("api.key").write_text(key)
