"""What all scenes share: one node with a room for each file of them, or a word why there is none."""

import os
from collections.abc import Iterator

import pytest

from tests.nspawn import image
from tests.nspawn.conversation import Conversation, Room, room
from tests.nspawn.node import Hierarchy, Node, booted
from tests.nspawn.service import LOCAL, configured
from voice_agent.lab.card import VirtualCard

LIMIT_S = 900
"""For one scene, with all that it stands on."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.fixture(scope="session")
def grounds() -> Iterator[image.Grounds]:
    """Made by whoever runs all scenes, or else here."""
    if given := os.environ.get(image.GIVEN):
        yield image.Grounds.given(given)
        return
    try:
        with image.prepared() as made:
            yield made
    except image.NotPossible as error:
        pytest.skip(f"no systemd can be booted here: {error}")


@pytest.fixture(scope="module")
def hierarchy() -> Hierarchy:
    """The node's; a file of scenes may want another."""
    return Hierarchy.UNIFIED


@pytest.fixture(scope="module")
def the_room() -> Iterator[Room]:
    with room() as made:
        yield made


@pytest.fixture(scope="module")
def machine(grounds: image.Grounds, the_room: Room, hierarchy: Hierarchy) -> Iterator[Node]:
    with booted(grounds.installed, the_room.binds, hierarchy) as node:
        yield node


@pytest.fixture
def node(machine: Node) -> Iterator[Node]:
    """The service is stopped, and configured for a server on the node; there is no sound card."""
    with configured(machine, LOCAL):
        yield machine


@pytest.fixture
def card(machine: Node, the_room: Room) -> Iterator[VirtualCard]:
    """The node's sound card, and the room around it."""
    with the_room.plugged_into(machine) as card:
        yield card


@pytest.fixture
def talk(machine: Node, card: VirtualCard) -> Iterator[Conversation]:
    """The service is stopped, and configured for this room, in which somebody would talk with it."""
    with configured(machine, LOCAL + Room.settings):
        yield Conversation(machine, card)
