"""profanity in tmux, driven by its keyboard and read from its screen: logs in, talks and logs out.

    profanity.py JID PASSWORD HOST PORT CA [OPTION...]

Options: direct-tls (XEP-0368); contact=JID (the roster has it, it comes online, it is sent the
message, and answers), card=NAME (the own vCard is changed, and read back), card-is=NAME (it must be
that one). Trusts CA alone; all its files lie in $HOME, which must be a folder made for it. What
profanity has no command for, the ping without an address and the vCard, is typed in its XML console.
Prints `talked` once all answers are there, and last what happened; exit status 0 if it logged in and
out.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

WAIT_S = 10
STEP_S = 0.05
ASK_S = 1
SIZE = "-x", "200", "-y", "50"
PREFERENCES = """[ui]
splash=false
occupants=false
roster=false
wrap=false
[chatstates]
enabled=false
[connection]
tls.certpath={certificates}
autoping=0
[presence]
autoaway.mode=off
[otr]
policy=manual
[logging]
chlog=false
"""
ACCOUNT = """[{jid}]
enabled=true
jid={jid}
password={password}
server={host}
port={port}
resource=profanity
tls.policy={policy}
presence.login=online
presence.last=online
"""


class Wrong(Exception):
    """What is on the screen is not what must be."""


class Screen:
    """profanity in a terminal of its own; tmux's socket lies in `home`."""

    def __init__(self, home):
        self.tmux = ["tmux", "-S", str(home / "tmux"), "-f", "/dev/null"]

    def run(self, *words):
        return subprocess.run([*self.tmux, *words], capture_output=True, text=True, timeout=WAIT_S)

    def start(self, *command):
        done = self.run("new-session", "-d", *SIZE, *command)
        if done.returncode:
            raise Wrong(f"tmux: {done.stderr}")

    def text(self):
        return self.run("capture-pane", "-p").stdout

    def type(self, line):
        self.run("send-keys", "-l", line)
        self.run("send-keys", "Enter")

    def until(self, pattern):
        """Waits until the screen shows it; returns the match."""
        deadline = time.monotonic() + WAIT_S
        while not (match := re.search(pattern, self.text())):
            if time.monotonic() > deadline:
                raise Wrong(f"no {pattern!r} on the screen:\n{self.text()}")
            time.sleep(STEP_S)
        return match

    def ask_until(self, line, pattern):
        """Types the line again and again until the screen shows it."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            self.type(line)
            patience = time.monotonic() + ASK_S
            while time.monotonic() < patience:
                if re.search(pattern, self.text()):
                    return
                time.sleep(STEP_S)
        raise Wrong(f"no {pattern!r} on the screen:\n{self.text()}")

    def until_gone(self):
        deadline = time.monotonic() + WAIT_S
        while self.run("has-session").returncode == 0:
            if time.monotonic() > deadline:
                raise Wrong(f"profanity does not end:\n{self.text()}")
            time.sleep(STEP_S)

    def stop(self):
        self.run("kill-server")


def prepare(home, jid, password, host, port, ca, policy):
    """profanity takes a folder of CAs, as OpenSSL names them."""
    certificates = home / "certificates"
    config, data = home / ".config" / "profanity", home / ".local" / "share" / "profanity"
    for folder in certificates, config, data:
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ca, certificates / "ca.pem")
    subprocess.run(["openssl", "rehash", certificates], check=True, capture_output=True,
                   timeout=WAIT_S)
    (config / "profrc").write_text(PREFERENCES.format(certificates=certificates))
    (data / "accounts").write_text(ACCOUNT.format(jid=jid, password=password, host=host, port=port,
                                                  policy=policy))


def ask(screen, xml, answer=None):
    """An iq typed in the XML console; without `answer` any result or error will do."""
    screen.type("/clear")
    screen.type(xml)
    screen.until(answer or r"""<iq\b[^>]*\btype=["'](result|error)""")


def card_of(screen, options):
    read = "<iq type='get' id='{}'><vCard xmlns='vcard-temp'/></iq>"
    must = options.get("card-is", options.get("card"))
    if must is None:
        return
    if "card" in options:
        ask(screen, read.format("card1"))
        ask(screen, "<iq type='set' id='card2'><vCard xmlns='vcard-temp'>"
            f"<FN>{must}</FN></vCard></iq>")
    ask(screen, read.format("card3"), re.escape(f"<FN>{must}</FN>"))


def talk(screen, jid, options):
    contact = options.get("contact")
    if "failed" in screen.until("logged in successfully|certificate verification failed")[0]:
        screen.type("/tls deny")
        raise Wrong(screen.until("certificate verification failed.*")[0])
    if contact:
        screen.type("/roster")
        name = screen.until(re.escape(contact) + r" \((.+?)\)")[1]
        screen.ask_until("/who online", re.escape(f"{name} is online"))
    screen.type(f"/msg {contact or jid} Grüße")
    # What comes from oneself it does not show.
    screen.until("I heard: Grüße" if contact else "me: Grüße")
    screen.type("/xmlconsole")
    ask(screen, "<iq type='get' id='ping1'><ping xmlns='urn:xmpp:ping'/></iq>")
    card_of(screen, options)


def main(jid, password, host, port, ca, *words):
    options = dict(word.partition("=")[::2] for word in words)
    home = pathlib.Path(os.environ["HOME"])
    for name in [n for n in os.environ if n.startswith(("XDG_", "TMUX"))]:
        del os.environ[name]
    os.environ["LC_ALL"] = "C.UTF-8"
    prepare(home, jid, password, host, port, ca, "direct" if "direct-tls" in options else "force")
    screen = Screen(home)
    talked = False
    try:
        screen.start("profanity", "-a", jid)
        talk(screen, jid, options)
        talked = True
        print("talked", flush=True)
        screen.type("/quit")
        screen.until_gone()
    except Wrong as wrong:
        print(f"{'logged' if talked else 'not logged'} in: {wrong}")
        return 1
    finally:
        screen.stop()
    print("logged out")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
