"""TLS at a server's own port: its certificate and key become the context of every connection."""

import ssl
from pathlib import Path


class InvalidCertificate(ValueError):
    """A certificate or key that cannot be used; the message names the files and says what to do."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the context of a server that shows the certificate: TLS 1.2 and later, HTTP/1.1.

    certificate: PEM, the server's own first, then those between it and the CA. Raises InvalidCertificate.
    """
    for name, path in (("certificate", certificate), ("key", key)):
        if not path.is_file():
            raise InvalidCertificate(f"the TLS {name} {path} is no file: give the path of one in PEM form")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a passphrase given OpenSSL would ask for it at the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        raise InvalidCertificate(
            f"the TLS certificate {certificate} and the key {key} cannot be used ({error}): give PEM files that this "
            "user may read, the key without a passphrase and belonging to the certificate"
        ) from None
    return context
