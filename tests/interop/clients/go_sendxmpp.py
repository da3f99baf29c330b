"""Starts go-sendxmpp: it logs in, sends one message to its own account, and logs out.

    go_sendxmpp.py JID PASSWORD HOST PORT CA [OPTION...]

Options: direct-tls (XEP-0368). Trusts CA alone: Go reads it from $SSL_CERT_FILE. Writes the account
into $HOME. Prints last what happened; exit status 0 if it logged in and out.
"""

import os
import pathlib
import subprocess
import sys

WAIT_S = 8


def main(jid, password, host, port, ca, *options):
    account = pathlib.Path(os.environ["HOME"]) / "sendxmpprc"
    account.write_text(f"username: {jid}\npassword: {password}\njserver: {host}:{port}\n")
    account.chmod(0o600)  # it refuses any other
    command = ["go-sendxmpp", "-f", account, "--timeout", str(WAIT_S), jid]
    if "direct-tls" in options:
        command.insert(1, "-t")
    if os.environ.get("VERBOSE"):
        command.insert(1, "-d")
    env = dict(os.environ, SSL_CERT_FILE=ca, SSL_CERT_DIR=account.parent)
    try:
        done = subprocess.run(command, input="Grüße\n", env=env, text=True, timeout=2 * WAIT_S,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        print("not logged in: took too long")
        return 1
    if done.returncode:
        print("not logged in: " + " ".join(done.stdout.split()))
        return 1
    print(done.stdout + "logged out")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
