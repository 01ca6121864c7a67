"""The simulated fleet: devices that play real pages, so that whoever scrapes them cannot tell."""

from collections.abc import Iterator

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fleetsim.arithmetic import HEADROOM, needs
from tests.fleetsim.blocks import labelled
from tests.fleetsim.devices import Device, Life
from tests.fleetsim.figures import Agent, Cost, Figures, Rules, Scrapes, quantile
from tests.fleetsim.film import Reel, developed, per_metric, samples

EPOCH = 1_700_000_000.0
CALM = Life(fates={"talking": 1.0}, restarts_an_hour=0, outages_an_hour=0, updated=0)
TURNS = "voice_agent_turns_total"
STARTED = "process_start_time_seconds"
LIVE = 'voice_agent_session_state{state="live"}'


def page(turns: int, live: int, *, tool: int | None = None) -> str:
    called = f'voice_agent_tool_calls_total{{tool="clock",outcome="ok"}} {tool}\n' if tool is not None else ""
    return (
        f"# HELP {TURNS} Times.\n# TYPE {TURNS} counter\n{TURNS} {turns}\n"
        "# HELP voice_agent_tool_calls_total Calls.\n# TYPE voice_agent_tool_calls_total counter\n"
        f"{called}"
        "# HELP voice_agent_session_state State.\n# TYPE voice_agent_session_state gauge\n"
        f"{LIVE} {live}\n"
        'voice_agent_build_info{version="0.1.0",python="3.11.7"} 1\n'
        f"{STARTED} 7\n"
    )


def reel() -> Reel:
    """A minute of three frames: three turns, a tool that is called in the midst, and a lost session."""
    taken = [page(10, 1), page(11, 0, tool=1), page(13, 1, tool=1)]
    return developed({"talking": taken, "quiet": [page(0, 1), page(0, 1)]}, 30.0)


def played(device: Device, until_s: int, step_s: int = 15) -> Iterator[dict[str, float]]:
    for now_s in range(0, until_s, step_s):
        if (found := device.page(float(now_s))) is not None:
            yield samples(found)


def test_a_film_knows_its_columns_and_what_was_absent() -> None:
    found = reel()
    series = [column.series for column in found.columns]
    assert series[:2] == [TURNS, 'voice_agent_tool_calls_total{tool="clock",outcome="ok"}'], (
        "each in its family, whichever page brought it"
    )
    talking = found.films["talking"]
    assert np.isnan(talking.frames[0, 1])
    assert talking.grown[:2].tolist() == [3.0, 1.0]
    assert talking.length_s == 60.0


def test_counters_go_on_from_film_to_film_and_gauges_live() -> None:
    shown = list(played(Device(1, reel(), CALM, EPOCH), 600))
    turns = [each[TURNS] for each in shown]
    assert turns == sorted(turns)
    assert turns[-1] - turns[0] == pytest.approx(3 * 585 / 60, abs=3)
    assert {each[LIVE] for each in shown} == {0.0, 1.0}


def test_a_series_that_has_come_stays() -> None:
    tool = 'voice_agent_tool_calls_total{tool="clock",outcome="ok"}'
    there = [tool in each for each in played(Device(1, reel(), CALM, EPOCH), 600)]
    assert there == sorted(there)
    assert there[-1]


def test_a_page_reads_as_prometheus_wants_it() -> None:
    text = Device(1, reel(), CALM, EPOCH).page(0.0) or ""
    names = [family.name for family in text_string_to_metric_families(text)]
    assert "voice_agent_session_state" in names
    assert len(names) == len(set(names))


def test_after_a_restart_counters_begin_again_and_the_process_is_younger() -> None:
    often = Life(fates={"talking": 1.0}, restarts_an_hour=20, outages_an_hour=0, updated=0)
    shown = list(played(Device(1, reel(), often, EPOCH), 3600))
    starts = [each[STARTED] for each in shown]
    assert starts == sorted(starts)
    begun = [at for at in range(1, len(shown)) if starts[at] != starts[at - 1]]
    assert len(begun) > 5
    assert all(shown[at][TURNS] <= 3 for at in begun)
    assert len(shown) < 240, "nobody answers meanwhile"


def test_a_device_whose_line_is_out_has_gone_on_when_it_is_back() -> None:
    out = Life(fates={"talking": 1.0}, restarts_an_hour=0, outages_an_hour=20, updated=0)
    shown = list(played(Device(1, reel(), out, EPOCH), 3600))
    turns = [each[TURNS] for each in shown]
    assert 60 < len(shown) < 230
    assert turns == sorted(turns)
    assert turns[-1] - turns[0] > 150


def test_an_update_is_another_version_of_the_same_device() -> None:
    updated = Life(fates={"quiet": 1.0}, restarts_an_hour=0, outages_an_hour=0, updated=1.0, update_at_s=60)
    device = Device(1, reel(), updated, EPOCH)
    before, during, after = device.page(45.0) or "", device.page(62.0), device.page(90.0) or ""
    assert 'version="0.0.1.0"' in before
    assert during is None
    assert 'version="1.0.1.0"' in after


def test_devices_are_not_in_step() -> None:
    firsts = {Device(number, reel(), CALM, EPOCH).page(0.0) for number in range(20)}
    assert len(firsts) > 10


def test_what_a_metric_costs_is_counted_with_all_that_a_histogram_has() -> None:
    series = [
        'a_seconds_bucket{le="1"}',
        'a_seconds_bucket{le="+Inf"}',
        "a_seconds_sum",
        "a_seconds_count",
        "b",
    ]
    assert per_metric(series) == {"a_seconds": 4, "b": 1}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [("up 1.0", 'up{x="y"} 1.0'), ('up{a="b c"} 1.0', 'up{x="y",a="b c"} 1.0')],
)
def test_a_line_takes_more_labels(line: str, wanted: str) -> None:
    assert labelled(line, 'x="y"') == wanted


def test_a_quantile_is_a_value_that_was_seen() -> None:
    assert [quantile([3.0, 1.0, 2.0], share) for share in (0.0, 0.5, 0.99)] == [1.0, 2.0, 3.0]
    assert quantile([], 0.5) == 0.0


def test_a_fleet_ten_times_as_large_needs_ten_times_as_much_and_one_empty_prometheus() -> None:
    cost = Cost(
        memory_bytes=1100 * 2**20,
        empty_bytes=100 * 2**20,
        series=1000,
        samples_s=100.0,
        cpu_cores=0.001,
        wal_bytes_s=0,
        sample_wal_bytes=0.0,
        waited=0.0,
    )
    rules = Rules(1, 1, 0.0, 0.0, 0, 0, device_series=10, fleet_series=20, alerts={})
    agent = Agent(30.0, 0, 0.0, scrape_bytes=3000, answer_bytes=0, series=85, stored_bytes=0)
    scrapes = Scrapes(85.0, 90, 0.0, 0.0, 10, 0, 0, 0)
    found = needs(Figures(10, 1.0, 15, 0, cost, scrapes, rules, agent, [], []), 1.0)
    small, large = found[0], found[1]
    assert (small.series, large.series) == (1000, 10_000)
    assert small.samples_s == pytest.approx(10 * (90 / 30 + 3 / 60), abs=0.1)
    assert large.samples_s == pytest.approx(10 * small.samples_s)
    assert large.memory_gib == round((100 + 10_000 * HEADROOM) / 1024, 2)
    assert large.network_kbit == 80.0
