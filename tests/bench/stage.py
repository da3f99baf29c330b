"""What every measurement stands on: the tools, a folder, the load's server."""

import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import parts
import peers
import procs

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build" / "release" / "tests" / "bench"


class Stage:
    """With it ends all that was started on it, and its folder goes, on signals, too."""

    def __init__(self, program, parent=None):
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(143))
        self.program = pathlib.Path(program).resolve()
        self.wrapper = []     # before the program: what it runs under
        self.listen_s = 10    # until it listens
        self.load, self.count = TOOLS / "load", TOOLS / "count"
        self.fd_limit = procs.raise_fd_limit()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xmpptap-bench.", dir=parent))
        self.folder.chmod(0o755)
        self.pki = self.folder / "pki"
        self.ports = {}

    def __enter__(self):
        try:
            peers.make_pki(self.pki)
            server = procs.start([self.load, "server", "--cert", self.pki / "server.pem", "--key",
                                  self.pki / "server.key"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
            said = parts.words(server.stdout.readline())
            self.ports = {name: int(port) for name, port in said.items()}
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, kind=None, *_):
        procs.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)
        if kind is KeyboardInterrupt:
            sys.exit(130)
