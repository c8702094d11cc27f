"""Hooks for schemathesis: requests that succeed, among all those that it makes up, and what is read with lenience.

What is made up at random is refused almost always, so it says little of what a success looks like. For each operation that
needs something real, `REQUESTS` makes a request that must succeed; schemathesis sends it and judges the answer like any other.
Which operations have succeeded at all is written to a file, and `run.sh` wants to see every one of them there.
"""

import atexit
import email
import email.policy
import json
import os
import pathlib
import re
import time
import urllib.request

import schemathesis
from openapi_schema_validator import OAS31Validator

URL = os.environ["PORTCULLIS_URL"]
PREFIX = os.environ["PORTCULLIS_PREFIX"]
USERNAME = os.environ["PORTCULLIS_USERNAME"]
PASSWORD = os.environ["PORTCULLIS_PASSWORD"]
FORGETFUL = os.environ["PORTCULLIS_FORGETFUL"]
MAIL = pathlib.Path(os.environ["PORTCULLIS_MAIL"])
SUCCEEDED = os.environ["PORTCULLIS_SUCCEEDED"]


def post(path, body):
    request = urllib.request.Request(
        URL + PREFIX + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def sign_in():
    """A session of its own for a request that spends one."""
    return post("/token/", {"username": USERNAME, "password": PASSWORD})


def reset_token():
    """What stands in the newest link. Of several, only that one holds."""
    before = set(MAIL.glob("*.eml"))
    post("/password/reset/", {"email": FORGETFUL})
    for _ in range(100):
        for path in set(MAIL.glob("*.eml")) - before:
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            found = re.search("#token=(\\S+)", message.get_body(("plain",)).get_content())
            if found:
                return found[1]
        time.sleep(0.1)
    raise TimeoutError("no mail")


# By operation id: the arguments of a `schemathesis.Case`, made when they are needed.
REQUESTS = {
    "obtain_token_pair": lambda: {"body": {"username": USERNAME, "password": PASSWORD}},
    "refresh_token": lambda: {"body": {"refresh": sign_in()["refresh"]}},
    "verify_token": lambda: {"body": {"token": sign_in()["access"]}},
    "change_password": lambda: {"body": {"old_password": PASSWORD, "new_password": PASSWORD}},
    "confirm_password_reset": lambda: {"body": {"token": reset_token(), "new_password": PASSWORD}},
    "request_password_reset": lambda: {"body": {"email": "nobody@example.com"}},
    "blacklist_token": lambda: {"body": {"refresh": sign_in()["refresh"]}},
}

succeeded = set()


def operation_id(operation):
    return operation.definition.raw["operationId"]


@schemathesis.hook
def before_add_examples(context, examples):
    make = REQUESTS.get(operation_id(context.operation))
    if make is None:
        return
    body = context.operation.definition.raw.get("requestBody", {})
    for media_type in body.get("content", {None: None}):
        arguments = make()
        if media_type is not None:
            arguments["media_type"] = media_type
        examples.append(context.operation.Case(**arguments))


@schemathesis.hook
def after_call(context, case, response):
    if 200 <= response.status_code < 300 and case.method.upper() == case.operation.method.upper():
        succeeded.add(operation_id(case.operation))


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
    if type(failure).__name__ != "AcceptedNegativeData" or not isinstance(case.body, dict):
        return True
    document = case.operation.schema.raw_schema
    raw = case.operation.definition.raw["requestBody"]["content"][case.media_type]["schema"]
    schema = document["components"]["schemas"][raw["$ref"].rsplit("/", 1)[1]] if "$ref" in raw else raw
    validator = OAS31Validator({**schema, "components": document["components"]})
    lenient = as_read(case.body, schema, case.media_type != "application/json")
    return validator.is_valid(case.body) or not validator.is_valid(lenient)


@atexit.register
def write():
    with open(SUCCEEDED, "a", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in sorted(succeeded))
