"""`python -m headrace.demo.simulator`: the simulator's process.

Reads commands from stdin and ends when stdin does, so that it never outlives who started it; see `protocol`.
The address of the database is taken from HEADRACE_DEMO_AIRLINE where `--dsn` is not given, as other users of the
machine can read a command line.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import psycopg

from headrace.demo.simulator.player import Player
from headrace.demo.simulator.protocol import Report, decode_command, encode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m headrace.demo.simulator", description="Plays the demo's airline.")
    parser.add_argument("--dsn", default=os.environ.get("HEADRACE_DEMO_AIRLINE"), help="the airline's database")
    parser.add_argument("--policies", type=Path, help="the folder of its policies; without it they are left alone")
    parser.add_argument("--speed", type=float, default=1.0, help="1 is about four changes a second")
    parser.add_argument("--paused", action="store_true", help="wait for a command to start")
    parser.add_argument("--seed", type=int, help="repeats the same choices")
    parser.add_argument("--steps", type=int, help="make so many changes as fast as possible, then end")
    options = parser.parse_args()
    if not options.dsn:
        parser.error("pass --dsn or set HEADRACE_DEMO_AIRLINE")
    return asyncio.run(_main(options))


async def _main(options: argparse.Namespace) -> int:
    player = Player(
        options.dsn, options.policies, _print, seed=options.seed, speed=options.speed, paused=options.paused
    )
    playing = asyncio.ensure_future(player.play() if options.steps is None else player.steps(options.steps))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, playing.cancel)
    if options.steps is None:
        threading.Thread(target=_read_stdin, args=(loop, player, playing.cancel), daemon=True).start()
    try:
        await playing
    except asyncio.CancelledError:
        return 0
    except psycopg.Error as error:
        player.say(f"this is not the airline's database: {error}")
        return 1
    except BrokenPipeError:
        # Nobody reads the reports any more.
        return 0
    return 0


def _read_stdin(loop: asyncio.AbstractEventLoop, player: Player, end: Callable[[], object]) -> None:
    """A thread, as stdin may be anything from a pipe to a file; unbuffered, as a lock would hold up the exit."""
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        for line in stdin:
            try:
                command = decode_command(line)
            except msgspec.DecodeError as error:
                loop.call_soon_threadsafe(player.say, f"not a command: {error}")
            else:
                loop.call_soon_threadsafe(player.command, command)
    loop.call_soon_threadsafe(end)


def _print(report: Report) -> None:
    sys.stdout.buffer.write(encode(report) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
