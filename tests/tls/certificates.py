"""Issues certificates, in the directory that is named, as its argument in JSON says.

    [{"file": "a", "names": ["a.test"], "key": "ec", "from": -1, "until": 30}]

makes a.pem (the certificate, and that of the CA) and a.key, with mode 600, for these days from now on. ca.pem and ca.key are
made where there are none.
"""

import datetime
import json
import os
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEYS = {
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(name, key, issuer_key, days, *extensions):
    now = datetime.datetime.utcnow()
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named("ours"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def private(key, encryption=serialization.NoEncryption()):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def write(path, content):
    path.touch(mode=0o600)
    path.write_bytes(content)


place = pathlib.Path(sys.argv[1])
if not (place / "ca.key").exists():
    key = KEYS["ec"]()
    ca = (x509.BasicConstraints(ca=True, path_length=None), True)
    write(place / "ca.pem", certificate("ours", key, key, (-400, 400), ca))
    write(place / "ca.key", private(key))
ca_pem = (place / "ca.pem").read_bytes()
ca_key = serialization.load_pem_private_key((place / "ca.key").read_bytes(), None)
for wanted in json.loads(sys.argv[2]):
    key = KEYS[wanted["key"]]()
    extensions = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
    ]
    if wanted["names"]:
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in wanted["names"]])
        extensions.append((names, False))
    own = certificate("server", key, ca_key, (wanted["from"], wanted["until"]), *extensions)
    # Never half there under its own name, as a certificate that is renewed is not.
    for suffix, content in ((".pem", own + ca_pem), (".key", private(key))):
        new = place / (wanted["file"] + suffix + ".new")
        write(new, content)
        os.replace(new, place / (wanted["file"] + suffix))
    if wanted["key"] == "ec":
        encrypted = serialization.BestAvailableEncryption(b"secret")
        write(place / (wanted["file"] + ".encrypted.key"), private(key, encrypted))
