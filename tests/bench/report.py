"""The table, and how far each goal is."""

from parts import median

# name, title, how it is written. In the order of the columns.
COLUMNS = [
    ("logins_s", "logins/s", "{:.0f}"),
    ("logins_failed", "failed", "{:.0f}"),
    ("logins_unclean", "not closed in order", "{:.0f}"),
    ("login_max_ms", "longest ms", "{:.0f}"),
    ("login_cpu_ms", "CPU ms a login", "{:.2f}"),
    ("stanzas_s", "300 B stanzas/s", "{:.0f}"),
    ("stanza_us", "CPU us a stanza", "{:.2f}"),
    ("bulk_mb_s", "16 KiB MB/s", "{:.0f}"),
    ("bulk_us", "CPU us each", "{:.1f}"),
    ("ping_p50", "ping p50 us", "{:.0f}"),
    ("ping_p99", "p99", "{:.0f}"),
    ("busy_p50", "beside a stream p50", "{:.0f}"),
    ("busy_p99", "p99", "{:.0f}"),
    ("busy_mb_s", "its MB/s", "{:.0f}"),
    ("idle_kib", "KiB an idle session", "{:.1f}"),
    ("peak_kib", "peak KiB streaming", "{:.0f}"),
]

GROWTH = [
    ("workers", "workers", "{:d}"), ("sessions", "sessions", "{:d}"), ("size", "bytes", "{:d}"),
    ("rate", "stanzas/s", "{:.0f}"), ("mb_s", "MB/s", "{:.1f}"), ("us", "CPU us each", "{:.2f}"),
    ("peak_mib", "peak MiB", "{:.1f}"), ("missing", "missing", "{:.0f}"),
]

# Two runs of the same HAProxy differ by 10 to 15 in 100: so much is noise.
NOISE = {">=": 0.9, "<=": 1.15}


class Results:
    """Figures by row and name: one a round."""

    def __init__(self):
        self.rounds = {}

    def add(self, row, figures, round_number=0):
        for name, value in figures.items():
            if value is not None:
                self.rounds.setdefault((row, name), {})[round_number] = value

    def get(self, row, name):
        values = self.rounds.get((row, name))
        return median(values.values()) if values else None

    def worst(self, row, name):
        values = self.rounds.get((row, name))
        return max(values.values()) if values else None

    def ratio(self, ours, theirs, name, other=None):
        """The median of the rounds' ratios: what is measured side by side is compared."""
        left, right = self.rounds.get((ours, name)), self.rounds.get((theirs, other or name))
        if not left or not right:
            return None
        both = [left[i] / right[i] for i in left if right.get(i)]
        return median(both) if both else None


def table(titles, rows):
    widths = [max(map(len, column)) for column in zip(titles, *rows)]
    lines = [titles, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(cell.rjust(width) if i else cell.ljust(width)
                                       for i, (cell, width) in enumerate(zip(line, widths))) + " |"
                     for line in lines)


def comparison(results, rows):
    columns = [c for c in COLUMNS if any(results.get(row.key, c[0]) is not None for row in rows)]
    if not columns:
        return None

    def cell(row, name, form):
        value = results.get(row.key, name)
        if value is None:
            return ""
        base = results.ratio(row.key, "haproxy", name)
        if base is None or row.key == "haproxy" or name in ("logins_failed", "logins_unclean"):
            return form.format(value)
        return f"{form.format(value)} ({base:.2f})"

    return table(["proxy (ratio to HAProxy's)"] + [title for _, title, _ in columns],
                 [[row.name] + [cell(row, name, form) for name, _, form in columns]
                  for row in rows])


def growth(rows):
    return table([title for _, title, _ in GROWTH],
                 [[form.format(row[name]) for name, _, form in GROWTH] for row in rows])


# ---- the goals ----

FULL_LOAD_MIB = 70  # docs/architecture.md's bound for two sessions that stream

def growth_of(rows, cost):
    """The most that a unit costs, to what it costs in the first of these rows."""
    costs = [cost(row) for row in rows]
    return max(costs[1:]) / costs[0] if len(costs) > 1 and costs[0] else None


def goals(results):
    """Rows of: goal, what, measured, `>=` or `<=`, wanted, unit, whether noise is granted."""
    r = results.ratio
    ours, starttls, bare = "xmpptap", "xmpptap-starttls", "xmpptap-no-archive"
    shown = "xmpptap-transcript"
    own = lambda name: results.get(ours, name)
    of = lambda a, b: a / b if a is not None and b else None
    grown = results.rounds.get((ours, "growth"), {}).get(0, [])
    single = [row for row in grown if row["workers"] == 1]
    sessions = [row for row in single if row["size"] == 300]
    sizes = [row for row in single if row["sessions"] == 2 and row["size"] >= 1000]
    missing = [results.worst(row, name) for row in (ours, starttls, shown)
               for name in ("missing", "bulk_missing")] + [row["missing"] for row in grown]
    failed = [results.worst(row, name) for row in (ours, starttls, bare, shown)
              for name in ("logins_failed", "logins_unclean")]
    some = lambda values: [value for value in values if value is not None]
    peaks = some([results.worst(ours, "peak_kib"), results.worst(ours, "bulk_peak_kib")])
    return [
        (1, "logins/s to HAProxy's", r(ours, "haproxy", "logins_s"), ">=", 1.0, "", True),
        (1, "CPU a login to HAProxy's", r(ours, "haproxy", "login_cpu_ms"), "<=", 1.3, "", True),
        (1, "STARTTLS logins/s to direct TLS", r(starttls, ours, "logins_s"), ">=", 0.85, "", True),
        (1, "logins that failed or did not close in order", sum(some(failed)) if some(failed) else None, "<=", 0, "", False),
        (1, f"failed of {own('many') or 0:.0f} in a row", own("many_failed"), "<=", 0, "", False),
        (1, "the longest of them", own("many_max_ms"), "<=", 1000, "ms", False),
        (2, "ping p50 to HAProxy's", r(ours, "haproxy", "ping_p50"), "<=", 1.0, "", True),
        (2, "ping p99 to HAProxy's", r(ours, "haproxy", "ping_p99"), "<=", 1.0, "", True),
        (2, "p50 beside a stream", r(ours, "haproxy", "busy_p50"), "<=", 1.0, "", True),
        (2, "p99 beside a stream", r(ours, "haproxy", "busy_p99"), "<=", 1.0, "", True),
        (3, "300 B stanzas/s to sslsplit gzip -1", r(ours, "sslsplit-gzip", "stanzas_s"), ">=", 1.5, "", True),
        (3, "CPU a stanza to sslsplit gzip -1", r(ours, "sslsplit-gzip", "stanza_us"), "<=", 0.6, "", True),
        (3, "stanzas/s, transcript in a file", r(shown, "sslsplit-gzip", "stanzas_s"), ">=", 1.5, "", True),
        (3, "CPU a stanza, the same", r(shown, "sslsplit-gzip", "stanza_us"), "<=", 0.6, "", True),
        (3, "16 KiB MB/s to sslsplit gzip -1", r(ours, "sslsplit-gzip", "bulk_mb_s"), ">=", 2.0, "", True),
        (3, "--no-archive stanzas/s to sslsplit raw", r(bare, "sslsplit", "stanzas_s"), ">=", 0.7, "", True),
        (3, "stanzas that are not in the archive", sum(some(missing)) if some(missing) else None, "<=", 0, "", False),
        (4, "memory of an idle session to HAProxy's", r(ours, "haproxy", "idle_kib"), "<=", 1.0, "", True),
        (4, "idle sessions held", own("held"), ">=", 10000, "", False),
        (4, "of these failed, or not closed in order", own("held_failed"), "<=", 0, "", False),
        (4, "CPU a login beside them to before", of(own("held_cpu_ms"), own("first_cpu_ms")), "<=", 1.0, "", True),
        (4, "time of a login beside them to before", of(own("held_p50_ms"), own("first_p50_ms")), "<=", 1.0, "", True),
        (4, "memory under full load", max(peaks) / 1024 if peaks else None, "<=", FULL_LOAD_MIB, "MiB", False),
        (5, "CPU a stanza, 10 to 10,000 sessions, to 1", growth_of(sessions, lambda row: row["us"]), "<=", 1.5, "", False),
        (5, "CPU a byte, 1 KB to 1 MiB, to 1 KB", growth_of(sizes, lambda row: row["us"] / row["size"]), "<=", 1.0, "", True),
        (6, "--version", own("version_ms"), "<=", 5, "ms", False),
        (6, "from start to listening", own("listening_ms"), "<=", 50, "ms", False),
        (6, f"show of {own('show_mib') or 0:.0f} MiB to zcat | jq -c .", of(own("show_s"), own("jq_s")), "<=", 1.0, "", False),
        (6, "its memory", own("show_peak_mib"), "<=", 64, "MiB", False),
    ]


def verdict(measured, sense, wanted, granted):
    if measured is None:
        return "not measured"
    better = measured >= wanted if sense == ">=" else measured <= wanted
    allowed = wanted * NOISE[sense] if granted else wanted
    within = measured >= allowed if sense == ">=" else measured <= allowed
    return "met" if better else "met (within noise)" if within else "NOT met"


def distance(measured, sense, wanted):
    """How much better (+) or worse (-) than wanted, in parts of what is wanted."""
    if measured is None or not wanted:
        return ""
    gain = measured / wanted - 1 if sense == ">=" else 1 - measured / wanted
    return f"{100 * gain:+.0f} %"


def number(value, unit):
    if value is None:
        return ""
    text = f"{value:.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.2f}"
    return f"{text} {unit}".strip()


def goal_table(results, unmeasured):
    rows = [[str(goal), what, f"{sense} {number(wanted, unit)}", number(measured, unit),
             distance(measured, sense, wanted), verdict(measured, sense, wanted, granted)]
            for goal, what, measured, sense, wanted, unit, granted in goals(results)
            if unmeasured or measured is not None]
    return table(["goal", "what", "wanted", "measured", "distance", ""], rows) if rows else None
