"""Turns sessions of an archive (--secrets keep) into golden cases: the tap's inputs, a line each.

    from_archive.py ARCHIVE.jsonl.gz [SESSION] > cases/NAME.case

What an archive does not hold, the places where the streams restart, is found the way the gate
finds them. Addresses become fixed ones, times relative. See README.md here for the format.
"""

import base64
import datetime
import gzip
import json
import pathlib
import re
import sys

CLIENT, SERVER = "127.0.0.1:50000", "127.0.0.1:5222"
WIRE = ("stream", "stanza", "space", "violation")
TLS_FIELDS = "side ok version cipher group sni cert verify error kind".split()
NEGOTIABLE = re.compile(r"urn:ietf:params:xml:ns:xmpp-(tls|sasl)\b|urn:xmpp:sasl:2\b|"
                        r"http://jabber.org/features/iq-(auth|register)\b")
NAMED = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape(data):
    """Bytes as one readable line."""
    out = []
    for c in data.decode("utf-8", "surrogateescape"):
        if c in NAMED:
            out.append(NAMED[c])
        elif ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 or 0xdc80 <= ord(c) <= 0xdcff:
            out += (f"\\x{b:02x}" for b in c.encode("utf-8", "surrogateescape"))
        else:
            out.append(c)
    return "".join(out)


def field(text):
    """Text of our own: where it names a port of this run, it gets the fixed one."""
    return escape(re.sub(r"127\.0\.0\.1:\d+", SERVER, text).encode())


def bytes_of(record):
    if "b64" in record:
        return base64.b64decode(record["b64"])
    return record.get("xml", "").encode()


def sent_bytes(record):
    if "sent_b64" in record:
        return base64.b64decode(record["sent_b64"])
    return record.get("sent", "").encode()


class Gate:
    """Where the streams restart: proxy/gate.c, as far as what was recorded shows it."""

    def __init__(self):
        self.aside = self.asked = self.logged_in = False

    def marks(self, record):
        """(before, behind): the marks around the record."""
        label, direction = record.get("label", ""), record.get("dir")
        if record["event"] == "violation" and not self.logged_in:
            self.aside = True
        if record["event"] == "tls":
            through = record["side"] == "client" and record["ok"] and not self.aside
            return [], ["restart\ttls"] if through else []
        if self.aside:
            return [], []
        if direction == "c2s":
            return self._of_client(record, label)
        return self._of_server(record, label)

    def _of_client(self, record, label):
        if label.startswith("sasl.") or label.startswith("sasl2."):
            self.asked = True
        elif re.match(r"<(presence|message)\b", record.get("xml", "")):
            self.aside = True
            return ([], []) if self.logged_in else (["bound"], [])
        return [], []

    def _of_server(self, record, label):
        xml = record.get("xml", "")
        if self.asked and xml.startswith("<success") and not self.logged_in:
            self.logged_in = True
            return [], ["bound" if "urn:xmpp:sasl:2" in xml else "restart\tbound"]
        if xml.startswith("<stream:features"):
            self.aside = self.logged_in or not NEGOTIABLE.search(xml)
        elif xml.startswith("<compressed"):
            self.aside = True
        return [], []


def edits(records):
    """The edit of each item, by the item's `n`: (how many bytes it covers, the record). An edit
    names the last item it covers; the counts at the end tell whether there are others."""
    end, found = records[-1], {}
    for direction in "c2s", "s2c":
        items = [r for r in records if r["event"] in WIRE and r["dir"] == direction]
        mine = [r for r in records if r["event"] == "edit" and r["dir"] == direction]
        count = end[direction]
        covered = count["bytes"] + sum(len(sent_bytes(r)) for r in mine) - \
            count.get("sent_bytes", count["bytes"])
        for record in mine:
            if "of" not in record:
                continue
            last = next(i for i, r in enumerate(items) if r["n"] == record["of"])
            first = last
            size = len(bytes_of(items[last]))
            others = sum(len(bytes_of(i)) for i in items
                         for r in mine if r.get("of") == i["n"] and r is not record)
            while first > 0 and size + others < covered:
                first -= 1
                size += len(bytes_of(items[first]))
            if size + others != covered:
                raise ValueError(f"{direction}: edits cover {covered} bytes, not {size + others}")
            found[items[first]["n"]] = (size, record)
    return found


def unfinished_first(records):
    """What never ends is recorded when all is over: it goes to where it must have come, before the
    stream error that answers it."""
    records = list(records)
    for late in [r for r in records if r.get("code") == "incomplete" and r["dir"] == "c2s"]:
        error = next((i for i, r in enumerate(records) if r["n"] < late["n"] and
                      r.get("dir") == "s2c" and r.get("xml", "").startswith("<stream:error")), None)
        if error is not None:
            records.remove(late)
            records.insert(error, late | {"t": records[error]["t"]})
    return records


def line_of_edit(record, size):
    return (f"edit\t{record['dir']}\tbytes={size}\treason={field(record['reason'])}\t"
            f"sent={escape(sent_bytes(record))}")


def own_lines(record):
    """What a record says by itself, without its bytes."""
    if record["event"] == "session":
        upstream = record["upstream"] if record["upstream"] == "builtin:" else f"tcp://{SERVER}"
        yield f"session\tclient={CLIENT}\tlisten={SERVER}\tupstream={upstream}"
    elif record["event"] == "tls":
        values = record | {"ok": "true" if record["ok"] else "false"}
        yield "tls\t" + "\t".join(f"{k}={field(values[k])}" for k in TLS_FIELDS if k in values)
    elif record["event"] == "gap":
        yield f"gap\t{record['dir']}\tbytes={record['bytes']}"
    elif record["event"] == "end":
        yield "end\t" + "\t".join(f"{k}={field(record[k])}"
                                  for k in ("by", "reason", "phase", "detail") if k in record)
    elif record["event"] == "edit" and "of" not in record:
        yield line_of_edit(record, 0)
    elif record.get("code") == "data-behind-starttls" and not record.get("more"):
        yield f"raw\t{record['dir']}\tcode={record['code']}\treason={field(record['detail'])}"


def lines(records):
    """The case's lines for one session's records."""
    gate, edited = Gate(), edits(records)
    records = unfinished_first(records)

    def time_of(record):
        return datetime.datetime.strptime(record["t"], "%Y-%m-%dT%H:%M:%S.%fZ")

    begin = time_of(records[0])
    for record in records:
        t = (time_of(record) - begin) // datetime.timedelta(microseconds=1)
        before, behind = gate.marks(record)
        for text in before + list(own_lines(record)):
            yield f"{t}\t{text}"
        if record["n"] in edited:
            size, edit = edited[record["n"]]
            yield f"{t}\t{line_of_edit(edit, size)}"
        if record["event"] in WIRE:
            yield f"{t}\t{record['dir']}\t{escape(bytes_of(record))}"
        for text in behind:
            yield f"{t}\t{text}"


def case(records, comments):
    """The whole text of a case."""
    return "".join(f"# {c}\n" for c in comments) + "".join(f"{x}\n" for x in lines(records))


def read(path):
    """Every record of a file, by session."""
    sessions = {}
    for line in gzip.decompress(pathlib.Path(path).read_bytes()).splitlines():
        record = json.loads(line)
        sessions.setdefault(record["session"], []).append(record)
    return sessions


def main(path, session=None):
    sessions = read(path)
    if session is None and len(sessions) != 1:
        sys.exit("which session? " + " ".join(sessions))
    sys.stdout.write(case(sessions[session or next(iter(sessions))], [f"from {session or path}"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
