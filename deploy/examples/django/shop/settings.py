"""The backend behind the gateway. It knows its users, and nothing of how they prove who they are."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
# Signs nothing that leaves this backend any more.
SECRET_KEY = os.environ.get("SECRET_KEY") or "k7Qw2vN9xTz4Lr8Jc1Ys6Hd3Mf5Gb0PaUeXiRo-2Vt7Wq"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "shop"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["shop.authentication.GatewayAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

GATEWAY = os.environ.get("GATEWAY", "http://127.0.0.1:8080")
# `aud` and `iss` of what the gateway vouches for: the upstream's name, and identity.assertion_issuer.
GATEWAY_AUDIENCE = "shop"
GATEWAY_ISSUER = "portcullis-assertions"
