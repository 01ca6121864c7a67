"""What a device may be called, and what the kernel knows of it."""

from pathlib import Path

import pytest

from voice_agent import cli
from voice_agent.audio.alsa import Card, Cards, fewest_channels
from voice_agent.audio.names import Device, Direction, choose
from voice_agent.errors import DeviceUnavailable

OUTPUT, INPUT = Direction.OUTPUT, Direction.INPUT


def device(name: str, *, outputs: int = 2, inputs: int = 0, card: str = "", usb: str = "") -> Device:
    return Device(name, "ALSA", outputs, inputs, 48_000, 0, card, usb)


HEADSET = device("USB Headset: - (hw:1,0)", inputs=1, card="Headset", usb="1-1.4")
MONITOR = device("HDMI: LG (hw:0,3)", card="PCH")
LINE_OUT = device("HDA: ALC (hw:0,0)", card="PCH")
WEBCAM = device("USB Webcam: - (hw:2,0)", outputs=0, inputs=1, card="Webcam", usb="1-1.3")
DEFAULT = device("default", outputs=32, inputs=32)
DEVICES = [LINE_OUT, MONITOR, HEADSET, WEBCAM, DEFAULT]


def test_part_of_a_name_finds_the_device_in_any_case() -> None:
    assert choose(DEVICES, "hdmi", OUTPUT) is MONITOR


def test_only_devices_of_the_right_direction_count() -> None:
    assert choose(DEVICES, "usb", OUTPUT) is HEADSET
    with pytest.raises(DeviceUnavailable, match="Webcam"):
        choose([WEBCAM, MONITOR], "hdmi", INPUT)


def test_an_exact_name_wins_over_names_that_contain_it() -> None:
    short, long = device("speaker"), device("speaker 2")
    assert choose([long, short], "speaker", OUTPUT) is short


def test_a_whole_name_is_found_though_its_numbers_have_changed() -> None:
    assert choose(DEVICES, "USB Headset: - (hw:3,0)", OUTPUT) is HEADSET
    assert choose(DEVICES, "usb headset: -", OUTPUT) is HEADSET


@pytest.mark.parametrize(
    "words", ["hw:CARD=Headset,DEV=0", "plughw:CARD=Headset", "CARD=Headset", "headset", "usb:1-1.4"]
)
def test_a_card_is_known_by_its_id_and_by_its_socket(words: str) -> None:
    assert choose(DEVICES, words, INPUT) is HEADSET
    assert choose(DEVICES, words, OUTPUT) is HEADSET


def test_of_a_cards_devices_the_first_is_meant_if_nothing_else_is_said() -> None:
    assert choose(DEVICES, "CARD=PCH", OUTPUT) is LINE_OUT
    assert choose(DEVICES, "hw:CARD=PCH,DEV=3", OUTPUT) is MONITOR


def test_of_two_cards_of_one_make_the_socket_tells_which() -> None:
    twins = [
        device("USB Audio: - (hw:1,0)", card="Device", usb="1-1.2"),
        device("USB Audio: - (hw:2,0)", card="Device_1", usb="1-1.3"),
    ]
    assert choose(twins, "usb:1-1.3", OUTPUT) is twins[1]
    assert choose(twins, "device", OUTPUT) is twins[0], "an id is not a part of a name"
    assert choose(twins, "USB Audio: - (hw:2,0)", OUTPUT) is twins[1], "while it is still right"
    with pytest.raises(DeviceUnavailable, match="may be any of these"):
        choose(twins, "USB Audio", OUTPUT)


@pytest.mark.parametrize("words", ["1", "hw:1,0", "plughw:1", "hw:1"])
def test_a_number_is_refused_because_it_will_mean_another_device(words: str) -> None:
    with pytest.raises(DeviceUnavailable, match=r"those change.*USB Headset"):
        choose(DEVICES, words, OUTPUT)


def test_the_numbers_at_a_names_end_are_no_part_of_it() -> None:
    with pytest.raises(DeviceUnavailable, match="no output device"):
        choose(DEVICES, "(hw:1,0)", OUTPUT)


def test_an_ambiguous_name_is_refused_with_the_candidates() -> None:
    with pytest.raises(DeviceUnavailable, match=r"Headset.*Webcam"):
        choose(DEVICES, "usb", INPUT)


def test_an_unknown_name_is_refused_with_what_there_is() -> None:
    with pytest.raises(DeviceUnavailable, match='called "piano"; there are: "HDA'):
        choose(DEVICES, "piano", OUTPUT)
    with pytest.raises(DeviceUnavailable, match="there are: none"):
        choose([], "piano", OUTPUT)


def test_a_device_tells_its_id_and_what_alsa_opens() -> None:
    assert (MONITOR.alsa_id, MONITOR.pcm) == ("hw:CARD=PCH,DEV=3", "hw:0,3")
    assert (DEFAULT.alsa_id, DEFAULT.pcm) == ("", "default")


# ---------------------------------------------------------------------------------------- the kernel

LISTED = """\
 0 [PCH            ]: HDA-Intel - HDA Intel PCH
                      HDA Intel PCH at 0xf7110000 irq 31
 1 [Device_1       ]: USB-Audio - USB PnP Sound Device
                      C-Media USB PnP Sound Device at usb-3f980000.usb-1.4, full speed
"""


@pytest.fixture
def machine(tmp_path: Path) -> Cards:
    """A machine with a card on its board and one on a hub."""
    (tmp_path / "cards").write_text(LISTED)
    sockets = {0: "pci0000:00/0000:00:1b.0", 1: "platform/soc/3f980000.usb/usb1/1-1/1-1.4/1-1.4:1.0"}
    for number, place in sockets.items():
        (tmp_path / "devices" / place).mkdir(parents=True)
        card = tmp_path / "class" / f"card{number}"
        card.mkdir(parents=True)
        (card / "device").symlink_to(tmp_path / "devices" / place)
    return Cards(tmp_path / "cards", tmp_path / "class")


def test_the_kernels_cards_are_read_with_ids_and_sockets(machine: Cards) -> None:
    assert machine.read() == {Card(0, "PCH", ""), Card(1, "Device_1", "1-1.4")}


def test_a_machine_without_alsa_has_no_cards(tmp_path: Path) -> None:
    assert Cards(tmp_path / "cards", tmp_path).read() == frozenset()
    (tmp_path / "cards").write_text("--- no soundcards ---\n")
    assert Cards(tmp_path / "cards", tmp_path).read() == frozenset()


def test_a_card_that_goes_while_it_is_read_is_only_not_placed(tmp_path: Path) -> None:
    (tmp_path / "cards").write_text(LISTED)
    assert {card.usb for card in Cards(tmp_path / "cards", tmp_path / "gone").read()} == {""}


def test_what_cannot_be_opened_is_taken_for_mono() -> None:
    assert fewest_channels("no such pcm", capture=True) == 1


def test_the_list_of_devices_shows_every_lasting_name_and_no_number() -> None:
    lines = [cli._device_line(device, OUTPUT, is_default=device is DEFAULT) for device in (HEADSET, DEFAULT)]
    assert " ".join(lines[0].split()) == "USB Headset: - 2 ch 48000 Hz hw:CARD=Headset,DEV=0 usb:1-1.4"
    assert " ".join(lines[1].split()) == "* default 32 ch 48000 Hz ALSA"
