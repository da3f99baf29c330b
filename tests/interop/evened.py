"""What was said in a session as text that is the same in each run: ids, times, nonces and resources
are evened out.

What is said at the same time may be recorded in either order, so the directions are compared each
by itself, and what a client answers to the server apart from what it asks.
"""

import base64
import re

WIRE = ("stream", "stanza", "violation")
# Acknowledgements (XEP-0198) come when they come.
LEFT_OUT = ("sm.request.", "sm.answer.")
ARROWS = {"c2s": ">", "s2c": "<"}
TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)|"
                   r"\b\d{8}T\d\d:\d\d:\d\d\b")
SASL = re.compile(r"(<(auth|challenge|response|success)\b[^>]*>)([A-Za-z0-9+/]+=*)(</\2>)")
# Of SCRAM: nonce, salt, proof and signature.
SECRETS = re.compile(r"(?<=\b[rspv]=)[^,]+")
ID = re.compile(r"""(?<=\s)(id|h|previd)=(["'])([^"']*)\2""")
ANSWER = re.compile(r"""<iq\b[^>]*\stype=["'](result|error)["']""")
BOUND = re.compile("<jid>[^<]*/([^<]+)</jid>")


def sasl(match):
    """What a message of SASL says, in words."""
    head, _, text, tail = match.groups()
    try:
        words = base64.b64decode(text, validate=True).decode().replace("\0", " ")
    except ValueError:
        return match[0]
    return f"{head}{SECRETS.sub('...', words)}{tail}"


def tags(xml):
    """One tag a line; an element that holds only text, or nothing, takes one."""
    xml = re.sub(r">\s*<", ">\n<", xml.strip())
    return re.sub(r"(<([^\s/>]+)[^>]*>)\n(</\2>)", r"\1\3", xml)


class Ids:
    """By who asked or said them first, in the order of that: c1, c2 ... and s1, s2 ..."""

    def __init__(self, records):
        self.names, counts = {}, dict.fromkeys(ARROWS, 0)
        for record in sorted(records, key=lambda r: (bool(ANSWER.match(r["xml"])), r["dir"])):
            for name, _, value in ID.findall(record["xml"]):
                if name != "h" and value not in self.names:
                    counts[record["dir"]] += 1
                    self.names[value] = f"{record['dir'][0]}{counts[record['dir']]}"

    def put(self, text):
        return ID.sub(lambda m: f"{m[1]}={m[2]}{'N' if m[1] == 'h' else self.names[m[3]]}{m[2]}",
                      text)


def session(records):
    """The items of a session as recorded, and how it ended."""
    wire = [r for r in records if r["event"] in WIRE and "xml" in r
            and not r.get("label", "").startswith(LEFT_OUT)]
    ids = Ids(wire)
    bound = next((m[1] for r in wire if (m := BOUND.search(r["xml"]))), None)
    items = []
    for record in wire:
        text = TIMES.sub("TIME", SASL.sub(sasl, ids.put(record["xml"])))
        if bound:
            text = re.sub(rf"(/|<resource>){re.escape(bound)}(?=[\"'<])", r"\1RESOURCE", text)
        label = record.get("label", record["event"])
        items.append(f"#### {ARROWS[record['dir']]} {label}\n{tags(text)}\n")
    end = records[-1]
    return items + [f"#### . end by {end['by']}, {end['reason']}, {end.get('verdict', '?')}\n"]


def items_of(text):
    """The items in a text made of them."""
    return re.split(r"(?m)^(?=#### )", text)[1:]


def lane(item):
    head, _, text = item.partition("\n")
    return head[5] + (" answer" if head[5] == ">" and ANSWER.match(text) else "")


def by_direction(items):
    """What the client asks and says, what it answers, what the server says, the end."""
    return {name: [item for item in items if lane(item) == name]
            for name in (">", "> answer", "<", ".")}
