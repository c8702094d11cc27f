"""Hooks for schemathesis: requests that succeed, among all those that it makes up.

What is made up at random is refused almost always, so it says little of what a success looks like. For each operation that
needs something real, `REQUESTS` makes a request that must succeed; schemathesis sends it and judges the answer like any other.
Which operations have succeeded at all is written to a file, and `run.sh` wants to see every one of them there.
"""

import atexit
import json
import os
import urllib.request

import schemathesis

URL = os.environ["PORTCULLIS_URL"]
PREFIX = os.environ["PORTCULLIS_PREFIX"]
USERNAME = os.environ["PORTCULLIS_USERNAME"]
PASSWORD = os.environ["PORTCULLIS_PASSWORD"]
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


# By operation id: the arguments of a `schemathesis.Case`, made when they are needed.
REQUESTS = {
    "obtain_token_pair": lambda: {"body": {"username": USERNAME, "password": PASSWORD}},
    "refresh_token": lambda: {"body": {"refresh": sign_in()["refresh"]}},
    "verify_token": lambda: {"body": {"token": sign_in()["access"]}},
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


@atexit.register
def write():
    with open(SUCCEEDED, "a", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in sorted(succeeded))
