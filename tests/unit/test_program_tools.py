"""Tools that run programs: real ones, which do what programs do."""

import asyncio
import os
import pwd
import threading
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from voice_agent.config import CommandTool
from voice_agent.credentials import Secret
from voice_agent.errors import ToolError
from voice_agent.tools import process
from voice_agent.tools.base import Answer, Toolbox
from voice_agent.tools.process import Account, Order
from voice_agent.tools.programs import account_of, argv_for, program_tool

Result = Mapping[str, object]
DEADLINE_S = 10


def shell(script: str, *more: str, **settings: object) -> CommandTool:
    """A program written in the test."""
    argv = ("/bin/sh", "-c", script, "sh", *more)
    return CommandTool(name="probe", description="A probe.", argv=argv, **settings)  # type: ignore[arg-type]


def run(wanted: CommandTool, **arguments: object) -> Result:
    async def scene() -> Result:
        result = program_tool(wanted, lambda name: Secret(f"{name}-hunter2")).handler(arguments)
        assert isinstance(result, Coroutine)
        answer: Result = await result
        return answer

    return asyncio.run(scene())


def failure(wanted: CommandTool, **arguments: object) -> str:
    with pytest.raises(ToolError) as caught:
        run(wanted, **arguments)
    return str(caught.value)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped by whoever adopted it does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while is_alive(pid):
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.01)


# ---------------------------------------------------------------------------------------- arguments


def test_an_argument_is_one_element_whatever_it_holds() -> None:
    nasty = "a b'\"$(id)`;|&\n*"
    result = run(shell('printf "%s|" "$#" "$@"', "--", "{x}", "in={x}"), x=nasty)
    assert result == {"output": f"3|--|{nasty}|in={nasty}|"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (5, "5"), (0.5, "0.5"), (["a", 1], '["a",1]'), ({"a": None}, '{"a":null}'), ("é", "é")],
)
def test_what_is_no_text_is_given_as_json(value: object, text: str) -> None:
    assert argv_for(["/bin/x", "{v}"], {"v": value}) == ["/bin/x", text]


def test_an_element_without_its_argument_is_left_out() -> None:
    assert argv_for(["/bin/x", "--room={room}", "{a}{b}", "on"], {"a": 1, "room": None}) == ["/bin/x", "on"]


def test_braces_that_hold_no_name_are_text() -> None:
    assert argv_for(["/bin/x", '{"a": 1}', "{{x}}", "{ x }"], {"x": 1}) == [
        "/bin/x",
        '{"a": 1}',
        "{{x}}",
        "{ x }",
    ]


def test_an_argument_does_not_become_an_option() -> None:
    for argv in (["/bin/x", "{x}"], ["/bin/x", "{x}.txt", "--"]):
        with pytest.raises(ToolError, match='may not begin with "-"'):
            argv_for(argv, {"x": "--all"})
    assert argv_for(["/bin/x", "--", "{x}"], {"x": "--all"})[2] == "--all"
    assert argv_for(["/bin/x", "--room={x}"], {"x": "-5"})[1] == "--room=-5"
    assert argv_for(["/bin/x", "-v", "{x}"], {"x": "5"})[2] == "5"


@pytest.mark.parametrize("value", ["a\0b", "x" * 40_000])
def test_what_no_argument_can_hold_is_refused(value: str) -> None:
    with pytest.raises(ToolError, match="too long or holds a NUL"):
        argv_for(["/bin/x", "{x}"], {"x": value})


def test_all_arguments_come_on_standard_input_as_json() -> None:
    assert run(shell("cat", stdin="json"), room="hall", on=True) == {"room": "hall", "on": True}
    assert run(shell("cat")) == {"done": True}


def test_input_that_is_not_read_does_no_harm() -> None:
    assert run(shell("exec true", stdin="json"), x="y" * 30_000) == {"done": True}


# ------------------------------------------------------------------------------------------ answers


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ("  warm\n", {"output": "warm"}),
        ("[1]", {"output": "[1]"}),
        ("\\377\\376x", {"output": "��x"}),
        ("", {"done": True}),
    ],
)
def test_what_it_prints_is_the_answer(printed: str, expected: Result) -> None:
    assert run(shell(f"printf '{printed}'")) == expected


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (
            "echo no; echo 1st >&2; echo 'the lamp is gone' >&2; echo >&2; exit 3",
            "ended with exit code 3: the la",
        ),
        ("exit 1", "probe ended with exit code 1"),
        ("printf 'bad \\033[31m\\377' >&2; exit 1", "exit code 1: bad  [31m�"),
        ("kill -SEGV $$", "was ended by SIGSEGV"),
        ("yes | head -c 60000 >&2; exit 2", "exit code 2: y"),
    ],
)
def test_a_failure_says_the_last_line_of_its_complaints(script: str, told: str) -> None:
    assert told in failure(shell(script))


def test_complaints_of_one_that_succeeds_do_not_matter() -> None:
    assert run(shell("echo trouble >&2; echo fine")) == {"output": "fine"}


def test_a_program_that_cannot_be_run_is_told() -> None:
    gone = CommandTool(name="probe", description="A probe.", argv=("/nonexistent/lamp",))
    assert failure(gone) == "probe cannot be run: No such file or directory (/nonexistent/lamp)"


# ------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("script", ["exec yes", "exec yes >&2"])
def test_one_that_prints_for_ever_is_ended_and_told(script: str) -> None:
    assert failure(shell(script, max_kb=8)) == "probe printed more than 8 KiB and was ended"


def written(pid_file: Path) -> list[int]:
    """The processes that have written their numbers into a file, one a line."""
    return [int(line) for line in pid_file.read_text().split("\n")[:-1]] if pid_file.exists() else []


async def begun(call: asyncio.Task[Answer], pid_file: Path, count: int) -> list[int]:
    """The processes of a call, as soon as there are so many."""
    async with asyncio.timeout(DEADLINE_S):
        while len(numbers := written(pid_file)) < count:
            assert not call.done(), call.result()
            await asyncio.sleep(0.01)
    return numbers


def given_up(wanted: CommandTool, pid_file: Path, count: int = 1) -> None:
    """A call is given up when ``count`` processes have begun; and all of them have ended."""

    async def scene() -> None:
        call = asyncio.create_task(Toolbox([program_tool(wanted)]).run("probe", "{}"))
        numbers = await begun(call, pid_file, count)
        call.cancel()
        async with asyncio.timeout(DEADLINE_S):
            while any(is_alive(number) for number in numbers):
                await asyncio.sleep(0.01)

    asyncio.run(scene())


def test_one_that_is_given_up_is_ended_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    given_up(shell(f"echo $$ >{pids}; sleep 60 & echo $! >>{pids}; wait"), pids, 2)


def test_one_that_heeds_no_request_to_end_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    given_up(shell(f"trap '' TERM; echo $$ >{pids}; while :; do sleep 0.1; done"), pids)


def test_one_that_is_asked_to_end_may_tidy_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_S", 10.0)  # a busy machine may take a second to start a shell's trap
    pids, mark = tmp_path / "pids", tmp_path / "tidied"
    given_up(shell(f"trap 'echo done >{mark}; exit' TERM; echo $$ >{pids}; sleep 60 & wait"), pids)
    assert mark.exists()


def test_one_that_is_given_up_before_anybody_noticed_that_it_runs_may_tidy_up_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 10.0)
    pids, mark = tmp_path / "pids", tmp_path / "tidied"
    script = f"trap 'echo done >{mark}; exit' TERM; echo $$ >{pids}; sleep 60 & wait"
    order = Order(["/bin/sh", "-c", script], "/", {"PATH": os.defpath}, Account("/"), None, 1000)

    async def scene() -> None:
        call = asyncio.create_task(process.run(order))
        await asyncio.sleep(0)
        deadline = time.monotonic() + DEADLINE_S
        while not written(pids):
            assert time.monotonic() < deadline
            time.sleep(0.01)  # the loop stands still, as on a busy machine  # noqa: ASYNC251
        call.cancel()
        async with asyncio.timeout(DEADLINE_S):
            while is_alive(written(pids)[0]):
                await asyncio.sleep(0.01)

    asyncio.run(scene())
    assert mark.exists()


def test_one_that_takes_too_long_is_told_as_any_tool() -> None:
    answer = asyncio.run(Toolbox([program_tool(shell("exec sleep 60", timeout_s=0.5))]).run("probe", "{}"))
    assert "within 0.5 s" in answer.output
    assert answer.outcome == "timeout"


def test_what_it_leaves_behind_is_ended_and_not_waited_for(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    assert run(shell(f"sleep 60 & echo $! >{pids}; echo fine")) == {"output": "fine"}
    wait_until_dead(int(pids.read_text()))


def test_one_whose_call_is_given_up_is_ended_though_the_loop_ends_too(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    async def scene() -> int:
        wanted = shell(f"trap '' TERM; echo $$ >{pids}; while :; do sleep 0.1; done")
        call = asyncio.create_task(Toolbox([program_tool(wanted)]).run("probe", "{}"))
        return (await begun(call, pids, 1))[0]

    wait_until_dead(asyncio.run(scene()))


def test_one_whose_call_is_given_up_while_it_begins_is_ended(tmp_path: Path) -> None:
    script = f"echo $$ >>{tmp_path}/pids; sleep 60"
    order = Order(["/bin/sh", "-c", script], "/", {}, Account("/"), None, 1000)

    async def scene() -> None:
        for delay_ms in range(20):
            call = asyncio.create_task(process.run(order))
            await asyncio.sleep(delay_ms / 5000)
            call.cancel()
            with suppress(asyncio.CancelledError):
                await call
        async with asyncio.timeout(DEADLINE_S):
            while any(thread.name == "program" for thread in threading.enumerate()):
                await asyncio.sleep(0.01)

    asyncio.run(scene())
    for number in written(tmp_path / "pids"):
        assert not is_alive(number)
        with pytest.raises(ChildProcessError):  # nor is it left to be reaped
            os.waitpid(number, os.WNOHANG)


# ----------------------------------------------------------------------------------------- its world


def test_it_sees_a_clean_environment_its_credential_and_what_it_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VOICE_AGENT_API_KEY", "hunter2")
    wanted = shell("env -u PWD", environment={"LAMP": "hall"}, key_from="hub", key_variable="HUB_TOKEN")
    lines = dict(line.split("=", 1) for line in str(run(wanted)["output"]).splitlines())
    assert set(lines) - {"_", "SHLVL", "OLDPWD"} == {"PATH", "LANG", "HOME", "LAMP", "HUB_TOKEN"}
    assert (lines["LAMP"], lines["HUB_TOKEN"]) == ("hall", "hub-hunter2")
    assert lines["HOME"] == pwd.getpwuid(os.geteuid()).pw_dir


def test_it_has_its_directory_and_none_of_our_files(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        listing = run(shell(f"pwd; ls -l /proc/$$/fd | grep -c {ours.name}; true", directory=str(tmp_path)))
    assert listing == {"output": f"{tmp_path}\n0"}


def test_a_user_that_does_not_exist_is_told() -> None:
    assert failure(shell("id", user="nobody-at-all")) == "there is no user 'nobody-at-all' on this device"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run programs as somebody else")
def test_it_runs_as_another_user_with_the_groups_of_that_user() -> None:
    account, before = account_of("nobody"), os.getgroups()
    os.setgroups([*before, 4242])
    try:
        ids = run(shell("id -u; id -g; id -G; echo $HOME", user="nobody"))["output"]
    finally:
        os.setgroups(before)
    groups = " ".join(map(str, account.groups or ()))
    assert ids == f"{account.uid}\n{account.gid}\n{groups}\n{account.home}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do that")
def test_a_user_that_the_daemon_may_not_become_is_told() -> None:
    assert "cannot be run as user root: Operation not permitted" in failure(shell("id", user="root"))


def test_the_daemons_own_user_needs_no_right() -> None:
    assert account_of(pwd.getpwuid(os.geteuid()).pw_name).uid is None
