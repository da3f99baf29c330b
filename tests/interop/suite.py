"""A program of tests that share one world: runs them one after the other, and says how each went.

Prints `ok NAME`, `not ok NAME` and `skipped NAME` lines.
"""

import asyncio
import logging
import os
import pathlib
import shutil
import signal
import tempfile
import traceback

SKIPPED = "skipped"  # what a test returns that cannot be run here


async def _run(tests, world, limit_s):
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    failed = 0

    def fails(name, why):
        nonlocal failed
        failed += 1
        print(f"not ok {name}\n{why}", flush=True)

    def show_logs():
        for name, text in world.logs():
            print(f"---- {name}\n{text}", flush=True)

    try:
        await world.start()
        for test in tests:
            try:
                skipped = await asyncio.wait_for(test(world), limit_s) == SKIPPED
                print(f"{'skipped' if skipped else 'ok'} {test.__name__}", flush=True)
            except Exception:  # whatever it is, the others are run
                fails(test.__name__, traceback.format_exc())
        if failed:
            show_logs()
    finally:
        statuses = await world.stop()
    if any(statuses):
        fails("xmpptap_ends_in_order", statuses)
        show_logs()
    return failed


def run(name, make_world, tests_of, limit_s):
    """Returns the exit status: 1 if anything failed.

    `make_world(folder)` has start(), logs(), and stop(), which returns the exit statuses of the
    program; `tests_of(world)` are coroutine functions that take it, each for at most `limit_s`.
    """
    logging.disable(logging.CRITICAL)  # slixmpp's; failures here are wanted
    folder = tempfile.mkdtemp(prefix=f"xmpptap-{name}.", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        world = make_world(pathlib.Path(folder))
        return 1 if asyncio.run(_run(tests_of(world), world, limit_s)) else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)
