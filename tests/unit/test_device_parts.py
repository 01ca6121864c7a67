"""The parts of ``make test-device`` that need no machine."""

import io
import json
import socket
import tarfile
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from tests.device import archive, image, needs, sounds
from tests.device.needs import NotPossible
from tests.device.qmp import Qmp, Refused
from tests.device.scenes import Figure

MS = sounds.RATE // 1000 * 2
"""Bytes in a millisecond."""


def fields(packed: bytes) -> list[int]:
    """The thirteen numbers of a newc header."""
    return [int(packed[6 + 8 * k : 14 + 8 * k], 16) for k in range(13)]


def packed(*entries: archive.Entry) -> bytes:
    stream = io.BytesIO()
    into = archive.Archive(stream)
    into.add(entries)
    into.close()
    return stream.getvalue()


def test_a_file_in_the_archive_begins_at_a_multiple_of_four_bytes() -> None:
    data = packed(archive.file("etc/hosts", b"localhost", 0o600))
    header = fields(data)
    assert data.startswith(b"070701")
    assert (header[1], header[6], header[11]) == (0o100600, 9, len("etc/hosts\0"))
    assert data[110:120] == b"etc/hosts\0"
    assert data[120:132] == b"localhost\0\0\0"
    assert b"TRAILER!!!\0" in data[132:]
    assert len(data) % 4 == 0


def test_a_package_is_taken_over_with_its_links_and_without_what_is_not_wanted() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, kind, target in (
            ("./", tarfile.DIRTYPE, ""),
            ("./usr/bin/", tarfile.DIRTYPE, ""),
            ("./usr/bin/sh", tarfile.SYMTYPE, "dash"),
            ("./usr/bin/second", tarfile.LNKTYPE, "./usr/bin/dash"),
            ("./usr/share/doc/dash", tarfile.REGTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
    stream.seek(0)
    entries = list(archive.from_tar(stream, lambda name: not name.startswith("usr/share/doc/")))
    assert [entry.name for entry in entries] == ["usr/bin", "usr/bin/sh", "usr/bin/second"]
    assert [entry.data for entry in entries] == [b"", b"dash", b"/usr/bin/dash"]


def test_a_folder_is_packed_below_parents_that_are_made_first(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "run").write_bytes(b"#!/bin/sh")
    (tmp_path / "inner" / "run").chmod(0o755)
    entries = list(archive.from_folder(tmp_path, "opt/voice-agent"))
    assert [entry.name for entry in entries] == [
        "opt",
        "opt/voice-agent",
        "opt/voice-agent/inner",
        "opt/voice-agent/inner/run",
    ]
    assert entries[-1].mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("usr/lib/modules/6.12/kernel/sound", True),
        ("usr/lib/modules/6.12/kernel/sound/drivers/snd-aloop.ko.xz", True),
        ("usr/lib/modules/6.12/kernel/drivers/gpu/drm/drm.ko.xz", False),
        ("usr/lib/modules/6.12/modules.builtin", True),
        ("boot/vmlinuz-6.12", True),
        ("boot/config-6.12", False),
        ("usr/bin/aplay", True),
    ],
)
def test_of_the_kernel_only_what_sound_needs_goes_into_the_machine(name: str, wanted: bool) -> None:
    assert image._is_wanted(name) is wanted


def test_what_is_missing_is_told_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotPossible, match=r"As root: apt-get install .*qemu-system-arm"):
        needs.check()


def answering(link: socket.socket, *answers: object) -> None:
    """A machine that greets, and answers each question with the next lines."""

    def play() -> None:
        stream = link.makefile("rwb")
        stream.write(b'{"QMP": {}}\n')
        stream.flush()
        for answer in ({"return": {}}, *answers):
            stream.readline()
            lines = answer if isinstance(answer, list) else [answer]
            stream.write(b"".join(json.dumps(line).encode() + b"\r\n" for line in lines))
            stream.flush()
        stream.close()
        link.close()

    Thread(target=play, daemon=True).start()


def test_events_of_the_machine_are_no_answers() -> None:
    ours, its = socket.socketpair()
    answering(its, [{"event": "DEVICE_DELETED", "data": {}}, {"return": {"status": "running"}}])
    with Qmp(ours) as qmp:
        assert qmp.ask("query-status") == {"status": "running"}
        assert qmp.events == ["DEVICE_DELETED"]


def test_a_machine_that_refuses_says_why() -> None:
    ours, its = socket.socketpair()
    answering(its, {"error": {"class": "DeviceNotFound", "desc": "Device 'usb0' not found"}})
    with Qmp(ours) as qmp, pytest.raises(Refused, match="device_del: Device 'usb0' not found"):
        qmp.ask("device_del", id="usb0")


def test_a_machine_that_ends_in_mid_answer_is_told_from_one_that_answers() -> None:
    ours, its = socket.socketpair()
    answering(its)
    with Qmp(ours) as qmp, pytest.raises(Refused, match="has gone"):
        qmp.ask("query-status")


def test_a_hum_that_arrived_whole_has_lost_nothing_wherever_it_was_begun() -> None:
    hum = sounds.hum()
    received = hum[7 * MS + 2 : 900 * MS]
    assert sounds.continuity(received, hum) == (890, 0.0, 0)


def test_what_is_missing_from_the_hum_is_counted_to_the_sample() -> None:
    hum = sounds.hum()
    received = hum[: 300 * MS] + hum[300 * MS + 2 * 101 : 600 * MS]
    found = sounds.continuity(received, hum)
    assert (found.gaps, found.lost_ms) == (1, pytest.approx(101 / 24))


def test_a_question_in_the_middle_of_the_hum_is_no_loss() -> None:
    hum = sounds.hum()
    received = hum[: 300 * MS] + sounds.question(1200) + hum[300 * MS : 600 * MS]
    found = sounds.continuity(received, hum)
    assert (found.heard_ms, found.lost_ms) == (600, 0.0)


def test_a_hum_that_begins_again_is_whole() -> None:
    hum = sounds.hum()
    found = sounds.continuity(hum[-200 * MS :] + hum[: 200 * MS], hum)
    assert found == (400, 0.0, 0)


def test_stretches_of_sound_are_found_in_stereo_at_another_rate() -> None:
    tone = (5000 * np.ones(48 * 2 * 300)).astype("<i2").tobytes()
    silence = bytes(48 * 4 * 200)
    assert sounds.sounding_ms(silence + tone + silence + tone, rate=48_000, channels=2) == [
        (200, 500),
        (700, 1000),
    ]
    assert sounds.sounding_ms(silence, rate=48_000, channels=2) == []


def test_a_question_is_loud_enough_to_be_heard_throughout() -> None:
    (stretch,) = sounds.sounding_ms(sounds.question(1000))
    assert stretch == (0, 1000)
    assert sounds.sounding_ms(sounds.hum()) == []


def test_a_figure_is_judged_by_both_of_its_limits() -> None:
    judged = [Figure("", value, least=1, most=2).good for value in (0.5, 1, 2, 2.5)]
    assert judged == [False, True, True, False]
