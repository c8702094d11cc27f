"""Makes, in the directory that is named, a CA and a certificate by it for `localhost`, and another CA.

ca.pem, server.pem (certificate and key), other_ca.pem.
"""

import datetime
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def certificate(name, key, issuer, issuer_key, *extensions):
    now = datetime.datetime.utcnow()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def authority(text):
    key = ec.generate_private_key(ec.SECP256R1())
    ca = (x509.BasicConstraints(ca=True, path_length=None), True)
    return key, certificate(named(text), key, named(text), key, ca)


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


place = pathlib.Path(sys.argv[1])
ca_key, ca = authority("ours")
_, other_ca = authority("another")
key = ec.generate_private_key(ec.SECP256R1())
server = certificate(
    named("server"),
    key,
    named("ours"),
    ca_key,
    (x509.BasicConstraints(ca=False, path_length=None), True),
    (x509.SubjectAlternativeName([x509.DNSName("localhost")]), False),
    # Servers of a cluster show it to each other from both sides.
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
)
private = key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
(place / "ca.pem").write_bytes(pem(ca))
(place / "other_ca.pem").write_bytes(pem(other_ca))
(place / "server.pem").write_bytes(pem(server) + private)
