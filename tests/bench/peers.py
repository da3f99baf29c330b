"""What is measured: each row of PEERS is a proxy in one way of running it."""

import os
import pathlib
import shutil
import subprocess

import procs

DOMAIN = "bench.example"

HAPROXY = """\
global
    maxconn {maxconn}
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:{port} ssl crt {pki}/front.pem
    server upstream 127.0.0.1:{upstream} ssl verify none sni str({domain})
"""


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, timeout=30,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_pki(folder):
    """A CA and the server's certificate by it, both P-256: `ca.pem`, `ca.key`, `server.*`."""
    folder.mkdir()
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    openssl("req", "-x509", *curve, "-subj", "/CN=bench CA", "-keyout", folder / "ca.key",
            "-out", folder / "ca.pem", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", *curve[:-2], "-subj", f"/CN={DOMAIN}", "-keyout", folder / "server.key",
            "-out", folder / "server.csr")
    (folder / "ext").write_text(f"subjectAltName=DNS:{DOMAIN}\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", folder / "server.csr", "-CA", folder / "ca.pem", "-CAkey",
            folder / "ca.key", "-CAcreateserial", "-days", "30", "-extfile", folder / "ext",
            "-out", folder / "server.pem")
    (folder / "front.pem").write_text((folder / "server.pem").read_text() +
                                      (folder / "server.key").read_text())


class Proxy:
    """A running one: `port`, `ca` to be trusted, `sessions` of processes; everything it writes
    lies in `folder`, which goes with it."""

    def __init__(self, row, bench, options=()):
        self.row = row
        self.bench = bench
        self.starttls = row.starttls
        self.folder = pathlib.Path(bench.folder, "proxy")
        self.folder.mkdir()
        self.folder.chmod(0o777)  # sslsplit's children are nobody's
        self.children = []
        self.options = options
        self.ca = bench.pki / "ca.pem"
        self.upstream = bench.ports["clear" if row.starttls else "direct"]
        self.port = self.upstream
        if row.start:
            self.port = procs.free_port()
            row.start(self)
            procs.until(self.listening, bench.listen_s, f"{row.name} to listen")

    def run(self, *command, **how):
        how.setdefault("stdout", subprocess.DEVNULL)
        how.setdefault("stderr", subprocess.DEVNULL)
        self.children.append(procs.start(command, **how))

    def listening(self):
        if any(child.poll() is not None for child in self.children):
            raise RuntimeError(f"{self.row.name} has ended: {self.messages()}")
        return procs.listens(self.port)

    def messages(self):
        path = self.folder / "stderr"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    @property
    def sessions(self):
        return [child.pid for child in self.children]

    def per(self, cost, count):
        """What one of so many cost; None where there is no proxy that could have a cost."""
        return cost / count if self.children and count else None

    def stop(self):
        """Ends it in order, so that what it writes is whole."""
        return all([procs.stop(child) for child in self.children])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children:
            procs.stop(child, 5)
        shutil.rmtree(self.folder, ignore_errors=True)


def start_haproxy(proxy):
    config = proxy.folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=proxy.port, pki=proxy.bench.pki, domain=DOMAIN,
                                     upstream=proxy.upstream,
                                     maxconn=proxy.bench.most_sessions))
    proxy.run(proxy.bench.haproxy, "-db", "-f", config, stderr=open(proxy.folder / "stderr", "w"))


def start_sslsplit(proxy, log):
    pki = proxy.bench.pki
    proxy.run("sslsplit", "-k", pki / "ca.key", "-c", pki / "ca.pem", "-K", pki / "server.key",
              "-L", log, "autossl" if proxy.starttls else "ssl", "127.0.0.1", proxy.port,
              "127.0.0.1", proxy.upstream, stderr=open(proxy.folder / "stderr", "w"))


def start_sslsplit_raw(proxy):
    start_sslsplit(proxy, proxy.folder / "raw.log")


def start_sslsplit_gzip(proxy):
    fifo = proxy.folder / "fifo"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    # Reading and writing: it is there before sslsplit is, and ends by our signal.
    proxy.run("sh", "-c", f"exec gzip -1 <>'{fifo}' >'{proxy.folder}/raw.gz'")
    start_sslsplit(proxy, fifo)


def start_xmpptap(proxy, *options, transcript=os.devnull):
    """As a service runs: nobody reads its standard output, unless `transcript` is a file."""
    # Its CA is made once: that is its set-up, not its start.
    ca = proxy.bench.folder / "xmpptap-ca"
    proxy.ca = proxy.bench.folder / "xmpptap-ca.pem"
    if not proxy.ca.exists():
        done = subprocess.run([proxy.bench.program, "ca", "export", "--ca-dir", ca], check=True,
                              timeout=30, capture_output=True)
        proxy.ca.write_bytes(done.stdout)
    scheme = "tcp" if proxy.starttls else "tls"
    proxy.run(*proxy.bench.wrapper, proxy.bench.program, "proxy", "-l", f"127.0.0.1:{proxy.port}",
              "--ca-dir", ca, "-d", proxy.folder / "archive", "--upstream-ca", proxy.bench.pki / "ca.pem",
              *options, *proxy.options, f"{scheme}://127.0.0.1:{proxy.upstream}",
              stdout=open(transcript, "w"),
              stderr=open(proxy.folder / "stderr", "w"))


def start_xmpptap_no_archive(proxy):
    start_xmpptap(proxy, "--no-archive")


def start_xmpptap_transcript(proxy):
    start_xmpptap(proxy, transcript=proxy.folder / "transcript")


class Row:
    def __init__(self, key, name, program, start, parts, starttls=False, archives=False):
        self.key = key
        self.name = name
        self.program = program  # what must be installed; None: nothing
        self.start = start
        self.parts = parts  # of parts.COMPARED
        self.starttls = starttls
        self.archives = archives


ALL = ("logins", "stream", "bulk", "ping", "idle")
PEERS = [
    Row("none", "none", None, None, ALL[:-1]),
    Row("none-starttls", "none, STARTTLS", None, None, ("logins",), starttls=True),
    Row("haproxy", "HAProxy, no log", "haproxy", start_haproxy, ALL),
    Row("sslsplit", "sslsplit, raw log", "sslsplit", start_sslsplit_raw, ALL),
    Row("sslsplit-gzip", "sslsplit, raw log by gzip -1", "sslsplit", start_sslsplit_gzip, ALL),
    Row("sslsplit-starttls", "sslsplit, STARTTLS, raw log", "sslsplit", start_sslsplit_raw,
        ALL[:-1], starttls=True),  # of a thousand sessions so many stall that idle takes minutes
    Row("xmpptap", "xmpptap", None, start_xmpptap, ALL, archives=True),
    Row("xmpptap-starttls", "xmpptap, STARTTLS", None, start_xmpptap, ALL, starttls=True,
        archives=True),
    Row("xmpptap-no-archive", "xmpptap --no-archive", None, start_xmpptap_no_archive, ALL[:-1]),
    Row("xmpptap-transcript", "xmpptap, transcript in a file", None, start_xmpptap_transcript,
        ALL[:-2], archives=True),
]
