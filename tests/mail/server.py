"""An SMTP server that tells what it gets, one JSON object a line.

Its one argument is a JSON object, every key of which may be missing:

tls         "implicit" or "starttls"
certificate a PEM file of certificate and key
users       names and passwords; whoever is none of them may not send
utf8        whether SMTPUTF8 is offered
recipients  answers to RCPT, for each address in turn
data        answers to the end of DATA, in turn; null, and what comes after the last, is 250

The first line is {"port": ...}. It ends with its standard input.
"""

import asyncio
import email
import email.policy
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

# Handshakes that fail, and passwords without TLS, are what is tested.
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

plan = json.loads(sys.argv[1])


def tell(**what):
    print(json.dumps(what), flush=True)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        answers = plan.get("recipients", {}).get(address, [])
        answer = answers.pop(0) if answers else None
        if answer:
            tell(refused=address)
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        answers = plan.get("data", [])
        answer = answers.pop(0) if answers else None
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)

        def body(kind):
            part = message.get_body((kind,))
            return part.get_content().replace("\r\n", "\n") if part else None

        tell(
            accepted=answer is None,
            hello=session.host_name,
            encrypted=session.ssl is not None or plan.get("tls") == "implicit",
            user=session.auth_data and session.auth_data.login.decode(),
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            headers={name.lower(): str(value) for name, value in message.items()},
            type=message.get_content_type(),
            text=body("plain"),
            html=body("html"),
        )
        return answer or "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    known = plan["users"].get(data.login.decode()) == data.password.decode()
    return AuthResult(success=known, handled=False, auth_data=data)


def context():
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(plan["certificate"])
    return made


def smtp():
    starttls = plan.get("tls") == "starttls"
    return SMTP(
        Handler(),
        hostname="mail.example.org",
        ident="test",
        enable_SMTPUTF8=plan.get("utf8", False),
        tls_context=context() if starttls else None,
        require_starttls=starttls,
        authenticator=authenticate if "users" in plan else None,
        auth_required="users" in plan,
        auth_require_tls=False,
        auth_exclude_mechanism=None if "users" in plan else ["PLAIN", "LOGIN"],
    )


async def main():
    loop = asyncio.get_running_loop()
    implicit = context() if plan.get("tls") == "implicit" else None
    server = await loop.create_server(smtp, "127.0.0.1", 0, ssl=implicit)
    tell(port=server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
