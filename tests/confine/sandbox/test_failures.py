# SPDX-License-Identifier: Apache-2.0
"""A recommender that fails in any way gets an error class, and the service goes on with nothing left behind."""

from __future__ import annotations

import os
import select
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from confine import Limits, Recommender, Request
from evidence import InputError, RecommenderError, SandboxMissingError

if TYPE_CHECKING:
    from collections.abc import Callable

    Told = Callable[..., str]
    Run = Callable[..., Recommender]

pytestmark = pytest.mark.sandbox

SHORT = Limits(processes=16, cpu_seconds=30.0, start_seconds=20.0, call_seconds=20.0, file_bytes=8 << 20)
# Writes to the protocol stream, which hostile code can find: the highest pipe open for writing but the reports'.
STREAM = """
import fcntl
writable = [int(n) for n in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{n}")]
writable = [n for n in writable if n > 2 and fcntl.fcntl(n, fcntl.F_GETFL) & os.O_WRONLY]
def say(text):
    for n in writable:
        os.write(n, text)
"""


def lives(pid: int) -> bool:
    """Whether a process still runs; a zombie that its new parent has not looked at yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def failed(recommender: Recommender, *, requests: int = 1, k: int = 5) -> RecommenderError:
    """The error of a recommender that must fail, in loading or in its answer."""
    with pytest.raises(RecommenderError) as caught, recommender:
        recommender.recommend([Request(number, number, f"u{number}") for number in range(requests)], k)
    return caught.value


@pytest.mark.parametrize("entrypoint", ["absent:load", "ranker:absent", "ranker", "ranker.absent:load"])
def test_a_missing_module_or_function(run: Run, entrypoint: str) -> None:
    assert failed(run(entrypoint=entrypoint)).error_class == "module-missing"


def test_a_module_that_needs_what_is_not_there_fails_to_load(run: Run) -> None:
    error = failed(run("import torch"))
    assert error.error_class == "load-failed"
    assert "torch" in str(error)


def test_raising_while_loading_is_told_with_its_traceback(run: Run) -> None:
    error = failed(run("raise ValueError('panel row 7')"))
    assert error.error_class == "load-failed"
    assert "panel row 7" in str(error)
    assert "ranker.py" in str(error)
    assert "\n" not in str(error)


def test_raising_while_recommending(run: Run) -> None:
    error = failed(run(recommend="raise KeyError(requests[0]['user_id'])"))
    assert error.error_class == "raised"
    assert "u0" in str(error)


def test_what_is_printed_is_kept_for_the_reviewer_and_bounded(run: Run) -> None:
    loud = "print('x' * 1_000_000)\nprint('the last line')\nraise ValueError('after')"
    recommender = run(recommend=loud, limits=replace(SHORT, stderr_bytes=1000))
    assert "the last line" in str(failed(recommender))
    assert len(recommender.printed()) <= 1000


def test_printing_does_not_disturb_the_protocol(run: Run) -> None:
    with run("print('loading')", "print('{\"slates\": []}')\nreturn [['a'] for _ in requests]") as recommender:
        assert recommender.recommend([Request(0, 0, "u")], 1)[0].items == ("a",)
        assert recommender.recommend([Request(1, 0, "u")], 1)[0].id == 1


@pytest.mark.parametrize(
    ("body", "error_class"),
    [
        ("say(b'hello there\\n')\nreturn [['a']]", "garbage"),
        ("say(b'[' * 50_000 + b'\\n')", "garbage"),
        ("say(b'\\xff\\xfe\\n')", "garbage"),
        ('say(b\'{"slates": [], "slates": []}\\n\')', "garbage"),
        ("say(b'x' * (8 << 20))", "output-limit"),
        ("return [['x' * (8 << 20)]]", "output-limit"),
        ("os._exit(3)", "exited"),
        ("os.kill(os.getpid(), 9)", "exited"),
        ("import sys\nsys.exit(0)", "exited"),
        ("import time\ntime.sleep(600)", "timeout"),
        ("return [['a', 'b', 'a']]", "protocol"),
        ("return [[f'{n}' for n in range(k + 1)]]", "protocol"),
        ("return []", "protocol"),
        ("return [['a'], ['b']]", "protocol"),
        ("return [['a', 7]]", "protocol"),
        ("return [['']]", "protocol"),
        ("return [['x' * 257]]", "protocol"),
        ("return [{'id': 5, 'items': ['a']}]", "protocol"),
        ("return [{'items': ['a', 'b'], 'scores': [1.0]}]", "protocol"),
        ("return [{'items': ['a'], 'scores': [float('nan')]}]", "garbage"),
        ("return [{'items': ['a'], 'scores': [1e999]}]", "garbage"),
        ("return [{'items': ['a'], 'scores': ['high']}]", "protocol"),
        ("return [{'items': ['a'], 'scores': [True]}]", "protocol"),
        ("return None", "raised"),
        ("return [object()]", "raised"),
        ("return ['abc']", "raised"),
        ("deep = []\nfor _ in range(5000):\n    deep = [deep]\nreturn [deep]", "raised"),
        ("raise MemoryError", "memory"),
    ],
)
def test_an_answer_that_is_none(run: Run, body: str, error_class: str) -> None:
    limits = replace(SHORT, call_seconds=2.0) if error_class == "timeout" else SHORT
    assert failed(run(STREAM.replace("def say", "global say\ndef say"), body, limits=limits)).error_class == error_class


def test_bytes_between_calls_are_garbage(run: Run) -> None:
    late = """
        import threading
        threading.Timer(0.1, say, [b'{"slates": [{"id": 1, "items": ["lift"]}]}\\n']).start()
        return [["a"]]
    """
    with run(STREAM.replace("def say", "global say\ndef say"), late) as recommender:
        recommender.recommend([Request(0, 0, "u")], 1)
        assert recommender._channel is not None
        select.select([recommender._channel._answers], [], [], 10)
        with pytest.raises(RecommenderError, match="garbage"):
            recommender.recommend([Request(1, 0, "u")], 1)


@pytest.mark.parametrize("unsafe", [False, True])
def test_a_child_that_holds_the_stream_open_does_not_hold_us(run: Run, unsafe: bool) -> None:  # noqa: FBT001
    body = "import time\nif os.fork() == 0:\n    time.sleep(20)\n    os._exit(0)\nos._exit(0)"
    assert failed(run(recommend=body, unsafe_no_sandbox=unsafe)).error_class == "exited"


def test_not_reading_its_input_does_not_hold_us(run: Run) -> None:
    body = "import time\ntime.sleep(600)"
    history = tuple({"item_id": "i" * 200} for _ in range(2000))
    with run(recommend=body, limits=replace(SHORT, call_seconds=2.0)) as recommender:
        requests = [Request(number, 0, "u", history) for number in range(64)]
        with pytest.raises(RecommenderError, match="timeout"):
            recommender.recommend(requests, 1)


@pytest.mark.parametrize(
    ("load", "error_class"),
    [
        ("while True:\n    try:\n        os.fork()\n    except OSError:\n        pass", "processes"),
        ("while True:\n    os.write(2, b'x' * 65536)", "output-limit"),
        ("import socket\nwhile True:\n    socket.socket().connect_ex(('192.0.2.1', 1))", "processes"),
    ],
)
def test_whoever_keeps_the_supervisor_busy_is_ended(run: Run, load: str, error_class: str) -> None:
    limits = replace(SHORT, processes=4, output_bytes=16 << 20)
    assert failed(run(load, limits=limits)).error_class == error_class


def test_reports_without_end_are_not_read(run: Run) -> None:
    load = (
        STREAM.replace("def say", "global say\ndef say") + "while True:\n    os.write(max(writable), b'{}\\n' * 4096)"
    )
    error = failed(run(load, limits=replace(SHORT, start_seconds=2.0)))
    assert error.error_class in ("timeout", "garbage")


def test_after_an_error_nothing_is_left_and_the_next_one_runs(run: Run) -> None:
    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208 - names are enough

    failed(run("raise ValueError"))
    before = held()
    for body in ("os._exit(1)", "raise ValueError", "return []", "os.fork()\nimport time\ntime.sleep(600)"):
        recommender = run(recommend=body, limits=replace(SHORT, call_seconds=1.0))
        failed(recommender)
        init = recommender._sandbox._supervisor._init  # type: ignore[union-attr]
        assert not lives(init)
        with pytest.raises(RecommenderError, match="not running"):
            recommender.recommend([Request(0, 0, "u")], 1)
    failed(run(entrypoint="absent:load"))
    assert held() == before
    with run("return 'fine'") as recommender:
        assert recommender.recommend([Request(0, 0, "u")], 1)[0].items == ("fine",)
    assert held() == before


def test_two_run_side_by_side(run: Run) -> None:
    with run("return 'one'") as one, run("return 'two'") as two:
        assert two.recommend([Request(0, 0, "u")], 1)[0].items == ("two",)
        assert one.recommend([Request(0, 0, "u")], 1)[0].items == ("one",)


def test_a_sandbox_outlives_the_thread_that_entered_it(run: Run) -> None:
    recommender = run("return 'alive'")
    thread = threading.Thread(target=recommender.__enter__)
    thread.start()
    thread.join()
    assert recommender.recommend([Request(0, 0, "u")], 1)[0].items == ("alive",)
    recommender.close()


def test_without_bubblewrap_nothing_is_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxMissingError, match="install bubblewrap"):
        run().__enter__()


def test_where_a_layer_fails_nothing_is_run(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forbids = tmp_path / "bwrap"
    forbids.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    forbids.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxMissingError, match="No permissions to create new namespace"):
        run().__enter__()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"artifacts": {"model": Path("/nowhere/model.npz")}}, "no regular file"),
        ({"artifacts": {"../model": Path("/etc/hostname")}}, "letters, digits"),
        ({"packages": ("no-such-package",)}, "not installed"),
        ({"entrypoint": None}, "one of the two"),
        ({"command": ("./ranker",)}, "one of the two"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_runs(run: Run, options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        run(**options).__enter__()


@pytest.mark.parametrize("unsafe", [False, True])
def test_a_tree_that_is_not_there(tmp_path: Path, unsafe: bool) -> None:  # noqa: FBT001 - a parameter
    with pytest.raises(InputError, match="no directory 'absent'"):
        Recommender(tmp_path / "absent", entrypoint="a:b", unsafe_no_sandbox=unsafe).__enter__()


def test_an_artifact_that_is_a_link_out_of_the_tree_is_refused(run: Run, tmp_path: Path) -> None:
    recommender = run(artifacts={"model": tmp_path / "tree" / "model.npz"})
    secret = tmp_path / "labels.npz"
    secret.write_bytes(b"the panel")
    (tmp_path / "tree" / "model.npz").symlink_to(secret)
    with pytest.raises(InputError, match="leads out of the tree"):
        recommender.__enter__()


@pytest.mark.parametrize(
    ("requests", "k"),
    [
        ([Request(0, 0, "u"), Request(0, 0, "v")], 5),
        ([Request(0, 0, "u")], 0),
        ([Request(0, 0, "u", (), {"age": float("nan")})], 5),
    ],
)
def test_requests_that_cannot_be_asked(run: Run, requests: list[Request], k: int) -> None:
    with run("return 'fine'") as recommender:
        with pytest.raises(InputError):
            recommender.recommend(requests, k)
        assert recommender.recommend([Request(0, 0, "u")], 1)[0].items == ("fine",)
