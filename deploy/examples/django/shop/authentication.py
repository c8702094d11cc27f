"""Who is calling, as the gateway vouches for it: no password, no token and no key is looked at here."""

import jwt
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed

TYPE = "portcullis-assertion+jwt"
keys = jwt.PyJWKClient(f"{settings.GATEWAY}/.well-known/jwks.json", lifespan=300)


class Service:
    """A program that has shown an API key."""

    is_authenticated = True
    is_active = True
    pk = None

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return self.name


class GatewayAuthentication(BaseAuthentication):
    def authenticate(self, request):
        assertion = request.headers.get("X-Auth-Assertion")
        if assertion is None:
            return None
        try:
            if jwt.get_unverified_header(assertion).get("typ") != TYPE:
                raise AuthenticationFailed("not an assertion of the gateway")
            claims = jwt.decode(
                assertion,
                keys.get_signing_key_from_jwt(assertion).key,
                algorithms=["ES256"],
                audience=settings.GATEWAY_AUDIENCE,
                issuer=settings.GATEWAY_ISSUER,
                options={"require": ["exp", "sub"]},
            )
        except jwt.PyJWTError as fault:
            raise AuthenticationFailed("the assertion does not hold") from fault
        kind, _, name = claims["sub"].partition(":")
        if kind == "service":
            return Service(name), claims
        try:
            return get_user_model().objects.get(pk=claims["sub"], is_active=True), claims
        except (get_user_model().DoesNotExist, ValueError, ValidationError) as fault:
            raise AuthenticationFailed("no such user") from fault

    def authenticate_header(self, request):
        return 'Bearer realm="api"'
