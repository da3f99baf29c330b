"""The servers and clients of the interop tests: what is installed, and how a client is started.

Each client is a program `JID PASSWORD HOST PORT CA [OPTION...]` that logs in, talks, logs out and
prints last what happened; exit status 0 if all of it went well.
"""

import asyncio
import os
import pathlib
import shutil
import subprocess

from ejabberd import is_installed as ejabberd_is_installed

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = HERE / "clients"
PYTHON = ["/usr/bin/python3", "-B"]
PKG_CONFIG = {"strophe": "libstrophe", "gloox": "gloox"}
COMPILERS = {"strophe.c": ["cc", "-std=c11", "-D_GNU_SOURCE"], "gloox.cpp": ["c++"]}
NODE_MODULES = HERE.parents[1] / "build" / "interop" / "node_modules"  # `.ci/deps interop`'s
WAIT_S = 30


def output(*command):
    """What a command prints; None if it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, cwd=HERE,
                              env=environment())
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def environment(**more):
    """Ours, and where @xmpp/client lies: in $NODE_PATH, here, or where `.ci/deps` put it."""
    path = [os.environ.get("NODE_PATH"), str(HERE / "node_modules"), str(NODE_MODULES)]
    return dict(os.environ, NODE_PATH=":".join(filter(None, path)), **more)


def node_version():
    return output("node", "-p", "JSON.parse(require('fs').readFileSync(require.resolve('@xmpp/client')"
                  ".replace('index.js', 'package.json'))).version")


def debian_version(package):
    version = output("dpkg-query", "-W", "-f", "${Version}", package)
    return version.split("-")[0].split("+")[0] if version else "of unknown version"


def python_version(module, expression):
    """`expression` of a module `m`; where it is not installed, None."""
    return output(*PYTHON, "-W", "ignore", "-c", f"import {module} as m; print({expression})")


def with_name(name, version):
    return f"{name} {version}" if version else None


def of_program(name, program, package):
    return f"{name} {debian_version(package)}" if shutil.which(program) else None


VERSIONS = {
    "prosody": lambda: of_program("Prosody", "prosody", "prosody"),
    "ejabberd": lambda: ("ejabberd " + debian_version("ejabberd")
                         if ejabberd_is_installed() else None),
    "slixmpp": lambda: with_name("slixmpp", python_version("slixmpp", "m.__version__")),
    "strophe": lambda: with_name("libstrophe", output("pkg-config", "--modversion", "libstrophe")),
    "gloox": lambda: with_name("gloox", output("pkg-config", "--modversion", "gloox")),
    "xmppjs": lambda: with_name("@xmpp/client", node_version()),
    "aioxmpp": lambda: with_name("aioxmpp", python_version("aioxmpp", "m.__version__")),
    "go-sendxmpp": lambda: of_program("go-sendxmpp", "go-sendxmpp", "go-sendxmpp"),
    "profanity": lambda: (of_program("profanity", "profanity", "profanity")
                          if shutil.which("tmux") else None),
    "wire": lambda: "a client without a library",
    "stub": lambda: "a listener that is no XMPP server",
    "none": lambda: "no server",
}


def build(folder, names=("strophe", "gloox")):
    """The compiled clients, into `folder`. One whose library or compiler is missing is not there;
    returns the names of those that are."""
    built = []
    for source, compiler in COMPILERS.items():
        name = source.split(".")[0]
        flags = name in names and output("pkg-config", "--cflags", "--libs", PKG_CONFIG[name])
        if flags and shutil.which(compiler[0]):
            subprocess.run([*compiler, "-o", folder / name, CLIENTS / source, *flags.split()],
                           check=True, timeout=120)
            built.append(name)
    return built


async def start(kind, programs, home, jid, password, port, ca, options=()):
    """Starts a client on a port of loopback. `programs` is where build() put the compiled ones;
    `home` is a folder that the client may write to."""
    commands = {"slixmpp": [*PYTHON, CLIENTS / "slixmpp_client.py"],
                "aioxmpp": [*PYTHON, CLIENTS / "aioxmpp_client.py"],
                "go-sendxmpp": [*PYTHON, CLIENTS / "go_sendxmpp.py"],
                "profanity": [*PYTHON, CLIENTS / "profanity.py"],
                "strophe": [programs / "strophe"],
                "gloox": [programs / "gloox"],
                "xmppjs": ["node", CLIENTS / "xmppjs.mjs"]}
    words = [*commands[kind], jid, password, "127.0.0.1", port, ca, *options]
    return await asyncio.create_subprocess_exec(
        *map(str, words), env=environment(NODE_EXTRA_CA_CERTS=str(ca), HOME=str(home)),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
