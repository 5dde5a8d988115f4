# SPDX-License-Identifier: Apache-2.0
"""Every attack first succeeds without the sandbox, so that its failure inside proves something."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from confine import Limits, Recommender, Request, sandbox_report

if TYPE_CHECKING:
    from collections.abc import Callable

    Told = Callable[..., str]

pytestmark = pytest.mark.sandbox

SHORT = Limits(
    memory_bytes=512 << 20, processes=16, cpu_seconds=30.0, start_seconds=20.0, call_seconds=20.0, file_bytes=8 << 20
)


def test_the_self_check_holds() -> None:
    report = sandbox_report()
    assert report.working, report.detail
    assert report.fix is None


@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
def test_a_connection_is_refused_and_told_by_the_kernel(run: Callable[..., Recommender], told: Told) -> None:
    connect = """
        import socket
        try:
            socket.create_connection(("127.0.0.1", argument), timeout=2).close()
        except OSError as error:
            return f"refused {error.errno}"
        return "connected"
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert told(connect, port, unsafe_no_sandbox=True) == "connected"
        listener.settimeout(5)
        listener.accept()[0].close()
        with run(connect, argument=port) as recommender:
            (slate,) = recommender.recommend([Request(0, 0, "someone")], 1)
    assert slate.items == ("refused 101",)
    assert ("connect", f"127.0.0.1:{port}", 1) in [(a.kind, a.detail, a.count) for a in recommender.attempts]
    assert all(attempt.network for attempt in recommender.attempts)


@pytest.mark.loopback
@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("socket.socket(socket.AF_INET, DGRAM).sendto(b'x', ('127.0.0.1', PORT))", "sendto 127.0.0.1:PORT"),
        ("socket.socket(socket.AF_INET, DGRAM).sendmsg([b'x'], [], 0, ('127.0.0.1', PORT))", "sendmsg 127.0.0.1:PORT"),
        ("socket.socket(socket.AF_INET6, DGRAM).connect(('::1', PORT))", "connect [::1]:PORT"),
        ("socket.socket(socket.AF_INET).bind(('127.0.0.2', PORT))", "bind 127.0.0.2:PORT"),
        ("socket.socket(socket.AF_INET).listen()", "listen no readable address"),
        ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "socket netlink"),
        ("socket.socket(socket.AF_UNIX).connect('SOCKET')", "connect-unix SOCKET"),
    ],
)
def test_every_way_out_is_refused_and_named(
    run: Callable[..., Recommender], told: Told, tmp_path: Path, call: str, expected: str
) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as receiver, socket.socket(socket.AF_UNIX) as local:
        receiver.bind(("127.0.0.1", 0))
        local.bind(str(tmp_path / "s"))
        local.listen()
        known = {"PORT": str(receiver.getsockname()[1]), "SOCKET": str(tmp_path / "s"), "DGRAM": "socket.SOCK_DGRAM"}
        for name, value in known.items():
            call, expected = call.replace(name, value), expected.replace(name, value)
        attack = f"import socket\ntry:\n    {call}\nexcept OSError:\n    return 'refused'\nreturn 'done'"
        assert told(attack, unsafe_no_sandbox=True) == "done"
        with run(attack) as recommender:
            (slate,) = recommender.recommend([Request(0, 0, "someone")], 1)
    assert slate.items == ("refused",)
    assert [f"{attempt.kind} {attempt.detail}" for attempt in recommender.attempts] == [expected]


def test_an_address_elsewhere_is_refused_and_named_too(run: Callable[..., Recommender]) -> None:
    """Nothing is sent there from outside, so this shows only the words; the calls are those of the tests above."""
    calls = """
        import socket
        for family, kind, address in (
            (socket.AF_INET, socket.SOCK_STREAM, ("198.51.100.7", 53)),
            (socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 443)),
        ):
            socket.socket(family, kind).connect_ex(address)
        try:
            socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        except OSError:
            return "refused"
    """
    with run(calls) as recommender:
        (slate,) = recommender.recommend([Request(0, 0, "someone")], 1)
    assert slate.items == ("refused",)
    named = [f"{attempt.kind} {attempt.detail}" for attempt in recommender.attempts]
    assert sorted(named) == ["connect 198.51.100.7:53", "connect [2001:db8::1]:443", "socket vsock"]


def test_what_the_audit_hook_reports_is_kept_apart(run: Callable[..., Recommender]) -> None:
    name_lookup = "import socket\ntry:\n    socket.getaddrinfo('collector.example', 443)\nexcept OSError:\n    pass"
    with run(name_lookup) as recommender:
        recommender.recommend([Request(0, 0, "someone")], 1)
    assert any("collector.example" in report.detail for report in recommender.reported)
    assert not any("collector.example" in attempt.detail for attempt in recommender.attempts)
    assert ("connect", "127.0.0.1:53") in [(attempt.kind, attempt.detail) for attempt in recommender.attempts]


def test_a_file_outside_is_not_written(told: Told, tmp_path: Path) -> None:
    target = tmp_path / "written"
    write = "Path(argument).write_text('x')"
    assert told(write, str(target), unsafe_no_sandbox=True) == "nothing"
    assert target.exists()
    target.unlink()
    assert told(write, str(target)) == "load-failed"  # the folder does not even exist inside
    assert not target.exists()


@pytest.mark.parametrize("where", ["new.py", "ranker.py"])
def test_the_tree_is_read_only(told: Told, tmp_path: Path, where: str) -> None:
    write = "with Path(argument).open('a') as file:\n    file.write('# changed')"
    assert told(write, where, unsafe_no_sandbox=True) == "nothing"
    assert "# changed" in (tmp_path / "tree" / where).read_text()
    assert told(write, where) == "write-refused"


def test_private_scratch_space_is_there_and_limited(told: Told, tmp_path: Path) -> None:
    assert told("Path('/tmp/scratch').write_bytes(b'x' * 1000)") == "nothing"
    assert not Path("/tmp/scratch").exists()  # noqa: S108 - it is the sandbox's own that is meant
    fill = "for part in range(20):\n    Path(f'{argument}/{part}').write_bytes(b'x' * (1 << 20))"
    assert told(fill, str(tmp_path), unsafe_no_sandbox=True) == "nothing"
    assert told(fill, "/tmp") == "output-limit"  # noqa: S108


@pytest.mark.parametrize("setting", ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/dev/new"])
def test_the_kernel_is_not_set_from_inside(told: Told, setting: str) -> None:
    """Opened for writing only: that is what is refused, and outside it changes nothing."""
    opened = "os.close(os.open(argument, os.O_WRONLY | os.O_CREAT))"
    there = Path(setting)
    if os.access(there if there.exists() else there.parent, os.W_OK):  # else it cannot be done outside either
        try:
            assert told(opened, setting, unsafe_no_sandbox=True) == "nothing"
        finally:
            Path("/dev/new").unlink(missing_ok=True)
    assert told(opened, setting) == "write-refused"


def test_devices_are_not_changed_from_inside(told: Told) -> None:
    change = "os.chmod('/dev/null', 0o666)"
    if os.geteuid() == 0:
        assert told(change, unsafe_no_sandbox=True) == "nothing"
    assert told(change) == "write-refused"


def test_files_of_the_machine_are_not_seen(told: Told, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the panel")
    read = "return Path(argument).read_text()"
    assert told(read, str(secret), unsafe_no_sandbox=True) == "the panel"
    assert told(read, str(secret)) == "load-failed"


def test_a_link_in_the_tree_leads_nowhere(told: Told, ranker: Callable[..., Path]) -> None:
    (ranker() / "innocent.txt").symlink_to("/etc/passwd")
    read = "return Path('innocent.txt').read_text()[:10]"
    assert told(read, unsafe_no_sandbox=True).startswith("root:")
    assert told(read) == "load-failed"


def test_the_environment_is_what_is_declared(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_TOKEN", "hunter2")
    read = "return str('hunter2' in Path('/proc/self/environ').read_text() or 'COUNTERSIGN_TOKEN' in os.environ)"
    assert told(read, unsafe_no_sandbox=True) == "True"
    assert told(read) == "False"
    names = told("return ' '.join(sorted(os.environ))").split()
    assert not [name for name in names if "COUNTERSIGN" in name]
    assert told("return os.environ['PYTHONHASHSEED'] + os.environ['OMP_NUM_THREADS'] + os.environ['TZ']") == "02UTC"


def test_other_processes_are_neither_seen_nor_killed(told: Told) -> None:
    def victim() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

    kill = "os.kill(argument, 9)"
    with victim() as process:
        assert told(kill, process.pid, unsafe_no_sandbox=True) == "nothing"
        assert process.wait(10) == -signal.SIGKILL
    with victim() as process:
        assert told(f"assert not Path('/proc/{process.pid}').exists()\n{kill}", process.pid) == "load-failed"
        assert process.poll() is None
        process.kill()
    count = "return str(sum(name.isdigit() for name in os.listdir('/proc')))"
    assert int(told(count, unsafe_no_sandbox=True)) > 2
    assert told(count) == "2"


SLEEPERS = """
    import time
    made = []
    try:
        for _ in range(200):
            pid = os.fork()
            if pid == 0:
                time.sleep(60)
                os._exit(0)
            made.append(pid)
    except BlockingIOError:
        pass
    finally:
        for pid in made:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
    return f"{len(made)} processes"
"""


def test_processes_are_counted_and_refused(run: Callable[..., Recommender], told: Told) -> None:
    assert told(SLEEPERS, unsafe_no_sandbox=True) == "200 processes"
    with run(SLEEPERS) as recommender:
        (slate,) = recommender.recommend([Request(0, 0, "someone")], 1)
    assert slate.items == ("15 processes",)
    (attempt,) = recommender.attempts
    assert (attempt.kind, attempt.count) == ("process-limit", 1)
    assert not attempt.network


def test_a_fork_that_nobody_catches_has_its_own_error_class(told: Told) -> None:
    assert told("import time\nfor _ in range(200):\n    os.fork() or time.sleep(60)") == "processes"


def test_processes_may_come_and_go(told: Told) -> None:
    turns = "import subprocess\nfor _ in range(40):\n    subprocess.run(['/bin/true'], check=True)\nreturn 'forty'"
    assert told(turns) == "forty"


def test_threads_are_limited(told: Told) -> None:
    many = """
        import threading, time
        for _ in range(argument):
            threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
    """
    assert told(many, 300, unsafe_no_sandbox=True) == "nothing"
    assert told(many, 300) in ("load-failed", "processes")


ALLOCATE = """
    blocks = [bytearray(b"x") * (64 << 20) for _ in range(24)]
    return str(sum(map(len, blocks)) >> 20)
"""
ALLOCATE_IN_CHILDREN = """
    import time
    for _ in range(6):
        if os.fork() == 0:
            block = bytearray(b"x") * (256 << 20)
            time.sleep(10)
            os._exit(0)
    time.sleep(argument)
    for _ in range(6):
        os.wait()
    return "1536"
"""


def test_memory_of_one_process_is_limited(told: Told) -> None:
    assert told(ALLOCATE, limits=SHORT, unsafe_no_sandbox=True) == "1536"
    assert told(ALLOCATE, limits=SHORT) == "memory"


def test_memory_of_all_processes_together_is_limited(told: Told) -> None:
    assert told(ALLOCATE_IN_CHILDREN.replace("10", "0"), 0, limits=SHORT, unsafe_no_sandbox=True) == "1536"
    assert told(ALLOCATE_IN_CHILDREN, 10, limits=SHORT) == "memory"


def test_memory_behind_a_finished_first_thread_is_seen(told: Told) -> None:
    hide = """
        import ctypes, threading, time
        pid = os.fork()
        if pid == 0:
            def fill():
                time.sleep(0.2)
                block = bytearray(b"x") * (900 << 20)
                time.sleep(argument)
                os._exit(7)
            threading.Thread(target=fill).start()
            ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
        return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    assert told(hide, 0, limits=SHORT, unsafe_no_sandbox=True) == "7"
    assert told(hide, 20, limits=SHORT) == "memory"


def test_memory_that_belongs_to_no_process_is_refused(told: Told) -> None:
    assert told("os.close(os.memfd_create('hidden'))", unsafe_no_sandbox=True) == "nothing"
    assert told("os.close(os.memfd_create('hidden'))") == "load-failed"


def test_a_hang_ends_at_the_deadline(told: Told) -> None:
    hang = "import time\ntime.sleep(argument)"
    assert told(hang, 1, unsafe_no_sandbox=True) == "nothing"
    assert told(hang, 600, limits=replace(SHORT, start_seconds=1.0)) == "timeout"


def test_processor_time_is_limited(told: Told) -> None:
    busy = "import time\nwhile time.process_time() < argument:\n    pass"
    assert told(busy, 1, limits=replace(SHORT, cpu_seconds=0.5), unsafe_no_sandbox=True) == "nothing"
    assert told(busy, 600, limits=replace(SHORT, cpu_seconds=0.5)) == "timeout"


@pytest.mark.parametrize(
    ("name", "number", "errno"),
    [("unshare", (272, 97), 1), ("ptrace", (101, 117), 1), ("mount", (165, 40), 1), ("setns", (308, 268), 1),
     ("bpf", (321, 280), 1), ("userfaultfd", (323, 282), 1), ("chroot", (161, 51), 1)],
)  # fmt: skip
def test_calls_that_nobody_needs_are_refused_and_told(
    run: Callable[..., Recommender], told: Told, name: str, number: tuple[int, int], errno: int
) -> None:
    """The arguments make no sense, so that outside, where root may call, the kernel says so and nothing happens."""
    call = f"""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        result = libc.syscall({number[os.uname().machine != "x86_64"]}, -1, -1, -1, -1, -1)
        return f"{{result}} {{ctypes.get_errno()}}"
    """
    if os.geteuid() == 0:
        assert told(call, unsafe_no_sandbox=True) != f"-1 {errno}"
    with run(call) as recommender:
        (slate,) = recommender.recommend([Request(0, 0, "someone")], 1)
    assert slate.items == (f"-1 {errno}",)
    assert [(attempt.kind, attempt.detail) for attempt in recommender.attempts] == [("syscall", name)]


@pytest.mark.parametrize("number", [425, 435, 500])
def test_calls_a_filter_cannot_judge_are_absent(told: Told, number: int) -> None:
    call = """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall(argument, 0, 0)
        return str(ctypes.get_errno())
    """
    if number == 435:  # clone3 is there on every kernel that bubblewrap runs on
        assert told(call, number, unsafe_no_sandbox=True) != "38"
    assert told(call, number) == "38"


def test_nothing_is_inherited_and_the_listener_is_not_within_reach(told: Told) -> None:
    look = """
        folder = "/proc/self/fd"
        names = [name for name in os.listdir(folder) if os.path.lexists(f"{folder}/{name}")]
        return " ".join(os.readlink(f"{folder}/{name}").partition(":")[0] for name in names)
    """
    # Standard output and errors are one pipe; two lead to the harness' calls, one takes its reports.
    assert sorted(told(look).split()) == ["/dev/null", *["pipe"] * 5]


def test_only_named_packages_are_seen(told: Told) -> None:
    assert told("import numpy\nreturn numpy.__name__", packages=("numpy",)) == "numpy"
    assert told("import numpy\nreturn numpy.__name__") == "load-failed"
    listed = told("return ' '.join(sorted(os.listdir('/runtime/site-packages')))", packages=("numpy",))
    assert [name.partition("-")[0] for name in listed.split()] == ["numpy", "numpy", "numpy.libs"]
    for name in ("confine", "evidence", "rfc8785"):
        assert told(f"import {name}") == "load-failed"
    search = """
        import sys
        wanted = {"confine", "rfc8785", "polars", "countersign"}
        folders = (sys.base_prefix, "/usr/local", "/usr/lib/python3", "/runtime")
        walks = [walk for folder in folders for walk in os.walk(folder)]
        found = [(folder, wanted & {*names}) for folder, names, _ in walks if wanted & {*names}]
        return f"found {found}"
    """
    assert told(search) == "found []"


@pytest.mark.parametrize("name", ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"])
def test_every_namespace_is_its_own(told: Told, name: str) -> None:
    look = "return os.readlink(f'/proc/self/ns/{argument}')"
    outside = os.readlink(f"/proc/self/ns/{name}")  # noqa: PTH115 - no path, an identifier
    assert told(look, name, unsafe_no_sandbox=True) == outside
    assert told(look, name).startswith(f"{name}:[")
    assert told(look, name) != outside


def test_the_kernel_holds_the_limits_of_each_process(told: Told) -> None:
    look = """
        import resource
        names = ("AS", "CPU", "FSIZE", "NOFILE", "CORE", "MEMLOCK")
        return " ".join(str(resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))) for name in names)
    """
    held = (SHORT.memory_bytes + (1 << 30), 35, SHORT.file_bytes, 256, 0, 0)
    assert told(look, limits=SHORT) == " ".join(f"({value}, {value})" for value in held)


def test_the_interpreters_own_packages_are_covered(told: Told) -> None:
    look = """
        import sysconfig
        folders = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
        return " ".join(entry for folder in folders if os.path.isdir(folder) for entry in os.listdir(folder)) or "none"
    """
    assert told(look) == "none"


def test_the_sandbox_shows_only_these_folders(told: Told) -> None:
    assert set(told("return ' '.join(sorted(os.listdir('/')))").split()) <= {
        "artifacts", "bin", "dev", "etc", "lib", "lib32", "lib64", "proc", "root", "runtime", "sbin", "tmp", "tree",
        "usr", *(sys.base_prefix.split("/")[1:2]),
    }  # fmt: skip
    assert told("return ' '.join(os.listdir('/etc'))") == "ld.so.cache"


def test_artifacts_are_found_by_declared_name(told: Told, tmp_path: Path) -> None:
    model = tmp_path / "als-2026-11.npz"
    model.write_bytes(b"weights")
    read = "return f'{artifacts} {(artifacts / \"model.npz\").read_bytes().decode()}'"
    assert told(read, artifacts={"model": model}) == "/artifacts weights"
    assert told(read, artifacts={"model": model}, unsafe_no_sandbox=True).endswith(" weights")
    assert told("(artifacts / 'model.npz').write_bytes(b'x')", artifacts={"model": model}) == "write-refused"


def test_a_killed_service_leaves_no_sandbox_behind(ranker: Callable[..., Path]) -> None:
    tree = ranker()
    script = f"""
import sys, time
from pathlib import Path
from confine import Recommender
recommender = Recommender(Path({str(tree)!r}), entrypoint="ranker:load", packages=()).__enter__()
print(recommender._sandbox._supervisor._init, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        init = os.pidfd_open(int(service.stdout.readline()))
        service.kill()
        service.wait(10)
    ended, _, _ = select.select([init], [], [], 10)
    os.close(init)
    assert ended
