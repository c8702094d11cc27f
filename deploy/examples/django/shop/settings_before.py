"""The backend as it was: it checks passwords, tokens, keys and second factors itself."""

from .settings import *  # noqa: F403

INSTALLED_APPS += [  # noqa: F405
    "rest_framework_simplejwt.token_blacklist",
    "rest_framework_api_key",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
]
ROOT_URLCONF = "shop.urls_before"
REST_FRAMEWORK = REST_FRAMEWORK | {  # noqa: F405
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["shop.permissions_before.IsUserOrHasKey"],
}
API_KEY_CUSTOM_HEADER = "HTTP_X_API_KEY"
SIMPLE_JWT = {"SIGNING_KEY": SECRET_KEY}  # noqa: F405
