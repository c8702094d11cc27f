"""Hooks for schemathesis: requests that succeed, among all those that it makes up, and what keeps the run in hand.

What is made up at random is refused almost always, so it says little of what a success looks like. For each operation that
needs something real, `REQUESTS` makes a request that must succeed; schemathesis sends it and judges the answer like any other.
What has succeeded is written to a file, and `run.sh` wants to see every operation there.

The caller is to last as long as the run: what would end its session, take its rights or lock its account meets others, who
are made for it.
"""

import atexit
import email
import email.policy
import itertools
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import schemathesis
from openapi_schema_validator import OAS31Validator

API = os.environ["PORTCULLIS_API"]
# What schemathesis sends with each request.
KIND, _, CREDENTIAL = os.environ["PORTCULLIS_CREDENTIAL"].partition(": ")
# A key of whoever looks after this test; it is never the caller's.
KEEPER = {"X-API-Key": os.environ["PORTCULLIS_KEEPER"]}
SPARED = os.environ["PORTCULLIS_SPARED"].split()
MAIL = Path(os.environ["PORTCULLIS_MAIL"])
RECORD = os.environ["PORTCULLIS_RECORD"]

BY_TOKEN = KIND == "Authorization"
PASSWORD = "correct horse battery staple"
# By the field `Authorization`.
asking = {}
names = (f"somebody-{os.getpid()}-{number}" for number in itertools.count())


def send(method, path, body=None, credential=KEEPER):
    headers = {"Content-Type": "application/json", **credential}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(API + path, data, headers, method=method), timeout=20) as answer:
        return json.load(answer)


class Somebody:
    """A user made for one request."""

    def __init__(self):
        self.name = next(names)
        self.email = f"{self.name}@example.com"
        user = {"username": self.name, "email": self.email, "password": PASSWORD}
        self.id = send("POST", "/users/", user)["id"]

    def sign_in(self):
        """A new session: both tokens."""
        return send("POST", "/token/", {"username": self.name, "password": PASSWORD}, {})

    def bearer(self):
        bearer = {"Authorization": "Bearer " + self.sign_in()["access"]}
        asking[bearer["Authorization"]] = self.id
        return bearer

    def session_id(self):
        self.sign_in()
        return send("GET", f"/users/{self.id}/sessions/")["results"][0]["id"]

    def enrol(self):
        """Gives them an authenticator: the session that it was done in, and the recovery codes."""
        bearer = self.bearer()
        codes = send("POST", "/2fa/totp/verify/", {"token": first_code(bearer)}, bearer)["recovery_codes"]
        return bearer, codes

    def challenge(self):
        try:
            self.sign_in()
        except urllib.error.HTTPError as refusal:
            return json.load(refusal)["challenge"]

    def reset_token(self):
        send("POST", "/password/reset/", {"email": self.email}, {})
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for file in MAIL.glob("*.eml"):
                mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
                if self.email in mail["To"]:
                    return re.search(r"#token=(\S+)", mail.get_body(("plain",)).get_content())[1]
            time.sleep(0.05)
        raise TimeoutError("no mail with a link has come")


def first_code(bearer):
    secret = send("POST", "/2fa/totp/setup/", {}, bearer)["secret_base32"]
    return subprocess.check_output(["oathtool", "--totp", "--base32", secret], text=True).strip()


def new_key():
    return send("POST", "/keys/", {"name": "made for one request", "owner": "somebody"})


def make_key():
    return new_key()["id"]


def about_somebody(**more):
    return {"path_parameters": {"id": Somebody().id}, **more}


def about_a_key(**more):
    return {"path_parameters": {"id": make_key()}, **more}


def change_password():
    return {"headers": Somebody().bearer(), "body": {"old_password": PASSWORD, "new_password": "purple monkey dishwasher"}}


def end_session():
    somebody = Somebody()
    return {"headers": somebody.bearer(), "path_parameters": {"id": somebody.session_id()}}


def end_user_session():
    somebody = Somebody()
    return {"path_parameters": {"id": somebody.id, "session": somebody.session_id()}}


def answer_challenge():
    somebody = Somebody()
    _, codes = somebody.enrol()
    return {"body": {"challenge": somebody.challenge(), "recovery_code": codes[0]}}


def verify_second_factor():
    bearer = Somebody().bearer()
    return {"headers": bearer, "body": {"token": first_code(bearer)}}


def with_both_factors():
    bearer, codes = Somebody().enrol()
    return {"headers": bearer, "body": {"password": PASSWORD, "recovery_code": codes[0]}}


# By operation id: the arguments of a `schemathesis.Case`, made when they are needed. `headers` is who asks, where that is
# not the caller.
REQUESTS = {
    "obtain_token_pair": lambda: {"body": {"username": Somebody().name, "password": PASSWORD}},
    "answer_challenge": answer_challenge,
    "refresh_token": lambda: {"body": {"refresh": Somebody().sign_in()["refresh"]}},
    "verify_token": lambda: {"body": {"token": Somebody().sign_in()["access"]}},
    "blacklist_token": lambda: {"body": {"refresh": Somebody().sign_in()["refresh"]}},
    "end_session": end_session,
    "change_password": change_password,
    "request_password_reset": lambda: {"body": {"email": Somebody().email}},
    "confirm_password_reset": lambda: {
        "body": {"token": Somebody().reset_token(), "new_password": "purple monkey dishwasher"}
    },
    "set_up_second_factor": with_both_factors,
    "verify_second_factor": verify_second_factor,
    "disable_second_factor": with_both_factors,
    "make_recovery_codes": with_both_factors,
    "create_user": lambda: {"body": {"username": next(names), "password": PASSWORD, "scopes": []}},
    "show_user": about_somebody,
    "change_user": lambda: about_somebody(body={"first_name": "Anna", "is_active": False}),
    "delete_user": about_somebody,
    "disable_user": about_somebody,
    "enable_user": about_somebody,
    "set_user_password": lambda: about_somebody(body={"password": "purple monkey dishwasher"}),
    "reset_user_second_factor": about_somebody,
    "unlock_user": about_somebody,
    "list_user_sessions": about_somebody,
    "end_user_session": end_user_session,
    "end_user_sessions": about_somebody,
    "clear_lockout": lambda: {"body": {"subject": f"account:{Somebody().id}"}},
    "create_api_key": lambda: {
        "body": {
            "name": "made by the caller",
            "scopes": [],
            "expires_in": 60,
            "networks": ["192.0.2.0/24", "2001:db8::7"],
            "routes": ["orders"],
            "methods": ["GET"],
            "idle_days": 30,
            "rate": "100/minute burst 20",
            "quota": "10000/month",
            "labels": {"team": "payments"},
        }
    },
    "show_api_key": about_a_key,
    "change_api_key": lambda: about_a_key(body={"name": "another name", "expires_at": None}),
    "rotate_api_key": lambda: about_a_key(body={"overlap": 60}),
    "revoke_api_key": lambda: about_a_key(body={"reason": "it leaked"}),
    "report_leaked_keys": lambda: {"body": {"keys": [new_key()["key"], "no key at all"]}},
}

# These end the session that asks, so each time another one does.
ENDS_SESSION = {"logout", "logout_everywhere"}

# Wrong guesses lock the account of whoever asks, and then nothing is judged but the lock.
GUESSES = {
    "change_password",
    "set_up_second_factor",
    "verify_second_factor",
    "disable_second_factor",
    "make_recovery_codes",
}


ME = send("GET", "/me/", credential={KIND: CREDENTIAL})
asking[CREDENTIAL] = ME["id"]
good, refused, succeeded = set(), [], set()


class InsteadOfTheCaller:
    """Puts a credential where schemathesis has put the caller's, after everything else."""

    def __init__(self, headers):
        self.headers = headers

    def __call__(self, request):
        request.headers.update(self.headers)
        return request


def operation_id(operation):
    return operation.definition.raw["operationId"]


@schemathesis.hook
def before_add_examples(context, examples):
    definition = context.operation.definition.raw
    make = REQUESTS.get(operation_id(context.operation))
    by_key = any("api_key" in alternative for alternative in definition["security"])
    if make is None or not (BY_TOKEN or by_key or definition["security"] == []):
        return
    for media_type in definition.get("requestBody", {}).get("content", {None: None}):
        arguments = make()
        if media_type is not None:
            arguments["media_type"] = media_type
        case = context.operation.Case(**arguments)
        good.add(case.id)
        examples.append(case)


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = operation_id(case.operation)
    if operation in ENDS_SESSION and BY_TOKEN:
        kwargs["auth"] = InsteadOfTheCaller(Somebody().bearer())
    elif BY_TOKEN:
        # Also a request that schemathesis has made of a good one.
        authorization = (case.headers or {}).get("Authorization", CREDENTIAL)
        if authorization != CREDENTIAL:
            kwargs["auth"] = InsteadOfTheCaller(case.headers)
        if operation in GUESSES:
            send("POST", f"/users/{asking[authorization]}/unlock/")
    for name, value in (case.path_parameters or {}).items():
        if value in (ME["id"], ME["session_id"], *SPARED) and case.method.upper() != "GET":
            case.path_parameters[name] = "somebody-else"


def undescribed(value, schema, document, place="$"):
    """What an answer says beside what is described."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, list):
        for item in value:
            yield from undescribed(item, schema.get("items", {}), document, f"{place}[]")
    elif isinstance(value, dict) and "properties" in schema:
        for name, inner in value.items():
            if name in schema["properties"]:
                yield from undescribed(inner, schema["properties"][name], document, f"{place}.{name}")
            else:
                yield f"{place}.{name}"


@schemathesis.check
def says_no_more_than_is_described(context, response, case):
    described = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    content = described.get("content", {}).get("application/json")
    if response.status_code < 300 and content is not None and case.method.upper() == case.operation.method.upper():
        more = list(undescribed(response.json(), content["schema"], case.operation.schema.raw_schema))
        assert not more, f"not described: {more}"


@schemathesis.hook
def after_call(context, case, response):
    name = operation_id(case.operation)
    if 200 <= response.status_code < 300:
        if case.method.upper() == case.operation.method.upper():
            succeeded.add(name)
    elif case.id in good:
        refused.append(f"{name} as {case.media_type}: {response.status_code} {response.text}")


def as_read(body, schema, is_form):
    """What the gateway makes of a body: a number where a text belongs is its digits, and outer white space does not count.
    In a form everything is text, and the last of several values counts."""
    read = {}
    for name, value in body.items():
        text = schema.get("properties", {}).get(name, {}).get("type") == "string"
        if is_form and isinstance(value, list):
            if not value:
                continue
            value = value[-1]
        if text and (is_form or (isinstance(value, (int, float)) and not isinstance(value, bool))):
            value = str(value)
        read[name] = value.strip() if text and isinstance(value, str) else value
    return read


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """The description is stricter than the wire contract's reading of texts; what fits when it is read so was no bad request."""
    if type(failure).__name__ != "AcceptedNegativeData":
        return True
    # Before the first authenticator counts, no body is looked at, whatever it is.
    if operation_id(case.operation) == "set_up_second_factor":
        return False
    if not isinstance(case.body, dict):
        return True
    document = case.operation.schema.raw_schema
    raw = case.operation.definition.raw["requestBody"]["content"][case.media_type]["schema"]
    schema = document["components"]["schemas"][raw["$ref"].rsplit("/", 1)[1]] if "$ref" in raw else raw
    validator = OAS31Validator({**schema, "components": document["components"]})
    lenient = as_read(case.body, schema, case.media_type != "application/json")
    return validator.is_valid(case.body) or not validator.is_valid(lenient)


@atexit.register
def write():
    with open(RECORD, "a", encoding="utf-8") as file:
        file.writelines(f"{KIND} {name}\n" for name in sorted(succeeded))
        file.writelines(f"refused {request}\n" for request in refused)
