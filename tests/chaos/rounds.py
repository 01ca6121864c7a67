"""One fault, from a quiet conversation to a quiet conversation, and what it broke.

quiet -> a scene is played up to its phase -> the fault strikes -> the network is back
      -> usable again (measured) -> every utterance answered or reported -> one more is answered -> judged
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic

from tests.chaos.kinds import Phase, deal
from tests.chaos.mind import Plan
from tests.chaos.process import Vitals
from tests.chaos.voices import RATE, SURE, Run, uncovered
from tests.chaos.world import SAMPLES_PER_MS, Ended, World
from voice_agent.embedded import Fault

SHORT_MS, LONG_MS = 200, 2000
"""Answers: to be over soon, and to be struck in the middle."""
SPEECH_MS = (350, 600)
THINKING_MS = 500
"""The server waits so long with its answer when the fault is to strike before it."""
SURE_MS = 60
"""So much of an answer is heard before it counts as given."""
SILENCE_MS = 400
"""After speech_started was said: its way to the daemon and, at the device, two blocks."""
ON_ITS_WAY_S = 0.1
"""From the server's last word to the daemon, on a busy machine."""
REPORTS = (": no answer", ": captured sound was lost")
"""What the log says, once for each, of an utterance that was not answered, or not even sent."""
SETTLE_S = 3.0
MOST_TRIES = 10
"""Upgrades that one fault may cost the server."""

Condition = Callable[[], bool]


@dataclass
class Outcome:
    """What came of one fault. ``asked``: the server asked for patience (Kind)."""

    index: int
    kind: str
    phase: str
    recovery_ms: float | None = None
    took_s: float = 0.0
    asked: bool = False
    broken: list[str] = field(default_factory=list)
    vitals: Vitals | None = None


class Round:
    """The ``index``th fault of a seed, in a world. ``baseline``: what the process holds when all is well."""

    def __init__(self, world: World, seed: int, index: int, baseline: Vitals) -> None:
        self._world = world
        self._draw = Random(f"{seed} {index}")
        self._kind = deal(seed, index)
        self._phase = self._draw.choice(self._kind.phases)
        self._baseline = baseline
        self._pending: list[int] = []
        self._interrupted: int | None = None
        self._whole: list[int] = []
        self._usable_at = 0
        self._log_at = world.daemon.log_bytes
        self._lost_s = 0.0
        self.outcome = Outcome(index, self._kind.name, self._phase.value, asked=self._kind.asks)

    async def play(self) -> Outcome:
        """All of it; never raises for what the daemon does."""
        began = monotonic()
        world = self._world
        try:
            await self._set_out()
            await self._scene()
            after = world.latest if self._kind.ends else 0
            await self._kind.strike(world, self._draw)
            await self._recover(after, monotonic())
            await self._settle()
            await self._one_more()
            await self._judge()
        except Ended as error:
            self._broken(str(error))
        except _Hopeless as error:
            self._broken(str(error))
        except TimeoutError:
            self._broken("the fault could not be brought about")
        finally:
            await world.heal()
        self.outcome.took_s = monotonic() - began
        return self.outcome

    def _broken(self, what: str) -> None:
        self.outcome.broken.append(what)

    # --------------------------------------------------------------------------------------- playing

    async def _set_out(self) -> None:
        self._world.forget()
        self._lost_s = await self._figure("voice_agent_capture_lost_seconds_total")
        await self._or_hopeless(self._world.served, "no lasting session to begin with")

    async def _scene(self) -> None:
        """Bring the conversation to the phase in which the fault is to strike."""
        if self._phase is Phase.IDLE:
            await asyncio.sleep(self._draw.uniform(0.0, 0.1))
            return
        long = self._phase in (Phase.SOUNDING, Phase.BARGE_IN)
        plan = Plan(LONG_MS if long else SHORT_MS, tool=self._phase is Phase.TOOL)
        if self._kind.spoil:
            plan.spoil, plan.spoils = self._kind.spoil, 1
        if self._phase is Phase.WAITING:
            await self._think_long()
        done = self._world.emitted("response.done")
        first = await self._say(plan)
        match self._phase:
            case Phase.SPEAKING:
                await asyncio.sleep(self._draw.uniform(0.0, 0.15))
            case Phase.WAITING:
                await self._event("input_audio_buffer.speech_stopped")
                await asyncio.sleep(self._draw.uniform(0.0, 0.2))
            case Phase.TOOL:
                await self._tool()
            case _:
                await self._sounding(first, done)

    async def _think_long(self) -> None:
        self._world.server.strike(Fault(after="response.created", do="stall", ms=THINKING_MS))

    async def _say(self, plan: Plan) -> int:
        """Say something and wait until the server has noticed."""
        started = self._world.emitted("input_audio_buffer.speech_started")
        number = self._world.say(self._draw.randint(*SPEECH_MS), plan)
        self._pending.append(number)
        await self._event("input_audio_buffer.speech_started", started)
        return number

    async def _event(self, kind: str, before: int | None = None) -> None:
        seen = self._world.emitted(kind) if before is None else before
        await self._or_hopeless(lambda: self._world.emitted(kind) > seen, f"no {kind} before the fault")

    async def _tool(self) -> None:
        asked = self._world.tool_requests
        await self._or_hopeless(lambda: self._world.tool_requests > asked, "no tool call before the fault")
        await asyncio.sleep(self._draw.uniform(0.0, 0.3))

    async def _sounding(self, first: int, done: int) -> None:
        """Wait until an answer is heard; ``done``: how many had ended before."""
        world, enough = self._world, 300 * SAMPLES_PER_MS
        await self._or_hopeless(
            lambda: world.loudspeaker.sounded(first) > enough, "no answer before the fault"
        )
        if self._phase is Phase.SOUNDING:
            await self._or_hopeless(lambda: world.emitted("response.done") > done, "an answer without end")
            await asyncio.sleep(ON_ITS_WAY_S)
            self._whole.append(first)
            return
        self._interrupted = first
        await self._say(Plan(SHORT_MS))

    async def _recover(self, after: int, returned_s: float) -> None:
        try:
            usable_s = await self._world.usable(after, self._kind.patience_s)
        except TimeoutError:
            raise _Hopeless(f"not usable {self._kind.patience_s:.0f} s after the network's return") from None
        self.outcome.recovery_ms = (usable_s - returned_s) * 1000
        self._usable_at = self._world.card.played_samples()
        self._world.served()  # begin to count

    async def _settle(self) -> None:
        """Every utterance answered or reported, and quiet again."""
        deadline = monotonic() + self._kind.patience_s
        while self._unsettled() and monotonic() < deadline:
            self._alive()
            await asyncio.sleep(0.05)
        if unsettled := self._unsettled():
            self._broken(
                f"neither answered nor reported: {len(unsettled)} of {len(self._pending)} utterances"
            )
        await self._quiet()

    async def _one_more(self) -> None:
        world = self._world
        number = world.say(300, Plan(SHORT_MS))
        self._pending.append(number)
        self._whole.append(number)
        enough = SURE_MS * SAMPLES_PER_MS
        await self._or_hopeless(
            lambda: world.loudspeaker.sounded(number) >= enough, "deaf or mute afterwards"
        )
        await self._quiet()

    async def _quiet(self) -> None:
        try:
            await self._world.until(self._world.loudspeaker.silent, 8)
        except TimeoutError:
            self._broken("it goes on sounding")

    # --------------------------------------------------------------------------------------- judging

    def _unsettled(self) -> Sequence[int]:
        """Utterances without an answer that sounded, less those that the log reports."""
        enough, merged = SURE_MS * SAMPLES_PER_MS, self._world.heads.merged
        open_ = [
            number
            for number in self._pending
            if self._world.loudspeaker.sounded(merged.get(number, number)) < enough
        ]
        log = self._world.daemon.log(self._log_at)
        return open_[sum(log.count(report) for report in REPORTS) :]

    async def _judge(self) -> None:
        self.outcome.broken += self._world.complaints
        await self._judge_sound()
        await self._judge_samples()
        await self._judge_process()

    async def _judge_sound(self) -> None:
        pieces = self._world.loudspeaker.pieces()
        order = [number for piece in pieces for number in self._pending if piece.is_of(number)]
        if order != sorted(order):
            self._broken("an older answer sounds after a newer one")
        if self._interrupted is not None and self._goes_on(self._interrupted, pieces):
            self._broken("the interrupted answer goes on")
        for number in self._pending:
            whole = self._world.heads.plans[number].ms * SAMPLES_PER_MS
            sounded = self._world.loudspeaker.sounded(number)
            if sounded > whole * 1.05:
                self._broken(f"an answer was heard {sounded / whole:.1f} times")
            unsure = SURE * len(pieces)  # a shorter piece between two gaps is not recognised
            if number in self._whole and not self._kind.mangles and sounded < whole - unsure:
                self._broken(
                    f"{whole - sounded} of {whole} samples of an answer that had arrived did not sound"
                )

    def _goes_on(self, interrupted: int, pieces: Sequence[Run]) -> bool:
        """Whether an answer sounds on after the server last said that somebody interrupts it, and could."""
        begins = next((piece.begin for piece in pieces if piece.is_of(interrupted + 1)), None)
        onsets = [onset for onset in self._world.onsets if begins is None or onset < begins]
        limit = max([*onsets, self._usable_at]) + SILENCE_MS * SAMPLES_PER_MS
        return begins is not None and any(piece.is_of(interrupted) and piece.end > limit for piece in pieces)

    async def _judge_samples(self) -> None:
        """Each utterance reached one connection whole, or what is missing there is counted as lost."""
        received = self._world.received()
        missing = sum(uncovered(said, received) for said in self._world.said.values())
        lost_s = await self._figure("voice_agent_capture_lost_seconds_total") - self._lost_s
        if missing > (lost_s + self._kind.local_s) * RATE + 1:
            self._broken(
                f"{missing} samples of speech missing where the rest was heard, {lost_s * RATE:.0f} counted"
            )

    async def _judge_process(self) -> None:
        world, base = self._world, self._baseline
        log = world.daemon.log(self._log_at)
        if "Traceback" in log:
            self._broken("a traceback in the log")
        if (tries := len(world.server.headers)) > MOST_TRIES:
            self._broken(f"a tight loop: {tries} upgrades asked for")
        world.proxy.forget_old()
        deadline = monotonic() + SETTLE_S
        while leaks := _leaks(vitals := await asyncio.to_thread(world.daemon.vitals), base):
            if monotonic() > deadline:
                self._broken(leaks)
                break
            await asyncio.sleep(0.2)
        self.outcome.vitals = vitals

    # ---------------------------------------------------------------------------------------- helpers

    async def _figure(self, name: str) -> float:
        figures = await asyncio.to_thread(self._world.daemon.figures)
        return figures.get(name, 0.0)

    def _alive(self) -> None:
        if not self._world.daemon.alive:
            raise Ended(f"the daemon has ended with {self._world.daemon.code}")

    async def _or_hopeless(self, condition: Condition, what: str) -> None:
        try:
            await self._world.until(condition, self._kind.patience_s)
        except TimeoutError:
            raise _Hopeless(what) from None


class _Hopeless(Exception):
    """This round cannot go on."""


def _leaks(now: Vitals, base: Vitals) -> str:
    """What the process holds too much of, in words; empty if nothing."""
    spare = Vitals(0, 2, 6, 3)
    names = ("fds", "threads", "tasks")
    grown = [
        f"{name} {getattr(base, name)} -> {getattr(now, name)}"
        for name in names
        if getattr(now, name) > getattr(base, name) + getattr(spare, name)
    ]
    return f"leaked: {', '.join(grown)}" if grown else ""
