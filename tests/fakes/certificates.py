"""Certificates made on the spot, for servers that are what they say, and for others."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make certificates")


def certificate(folder: Path, name: str, *dates: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server shows, and a client's trust in exactly that."""
    (folder / "index").write_text("")
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nnew_certs_dir={folder}\npolicy=p\n"
        f"default_md=sha256\nx509_extensions=e\nrand_serial=yes\n[p]\ncommonName=supplied\n"
        f"[e]\nsubjectAltName={name}\nbasicConstraints=CA:true\n[req]\ndistinguished_name=n\n[n]\n"
    )
    config = ["-config", f"{folder}/ca.cnf"]
    new = ["req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    made = [*new, *config, "-subj", "/CN=test", "-keyout", f"{folder}/key", "-out", f"{folder}/request"]
    signed = ["ca", *config, "-batch", "-selfsign", "-keyfile", f"{folder}/key", "-in", f"{folder}/request"]
    for command in (made, [*signed, "-out", f"{folder}/cert", *(dates or ["-days", "2"])]):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(folder / "cert", folder / "key")
    return shown, ssl.create_default_context(cafile=str(folder / "cert"))
