"""English: how it is spoken."""

from voice_agent.embedded.policy.phrases import Phrases
from voice_agent.embedded.policy.quantities import WEEKDAYS

STORY = (
    "Once upon a time there was a lighthouse at the very end of a long grey coast. "
    "Its keeper was an old woman called Martha, and she had lit the lamp every evening for forty years. "
    "One autumn a storm came that was louder than any storm before it. "
    "The waves climbed up the rocks, and the wind tore three tiles from the roof. "
    "In the middle of the night the lamp went out. "
    "Martha climbed the two hundred steps with a candle in her hand, and the wind blew it out four times. "
    "At the top she found a small white bird, which had flown through the broken window to get warm. "
    "She wrapped the bird in her scarf, filled the lamp with oil, and struck her last match. "
    "The light went out across the water, and far away a ship turned slowly towards the harbour. "
    "In the morning the sailors came up the hill with bread, honey and a new pane of glass. "
    "They asked her what she wished for, and she said that she had everything she needed. "
    "But the bird stayed with her all winter, and every evening it sat beside the lamp and sang. "
    "And that is why, on that coast, people still say that a small guest can keep a great light burning."
)
"""Close to a minute of speech: long enough to be interrupted."""


def _plural(number: int) -> int:
    return 0 if abs(number) == 1 else 1


PHRASES = Phrases(
    greeting="Hello! How can I help you?",
    thanks="You are welcome.",
    bye="Goodbye!",
    fine="I am fine, thank you. How can I help you?",
    who="I am a small voice assistant that runs on this very machine.",
    stopped="Okay.",
    not_heard="Sorry, I did not hear you well.",
    not_understood="Sorry, I did not understand that.",
    can_weather="You can ask me about the weather in a city.",
    can_time="You can ask me what time it is.",
    can_timer="I can set timers and alarms.",
    can_story="I can also tell you a story.",
    no_tool="Sorry, I have no tool to look that up.",
    no_skill="Sorry, I have no tool to do that here.",
    no_forecast="Sorry, I only know the weather of this moment.",
    which_city="For which city?",
    how_long="For how long?",
    what_time="For what time?",
    too_long="Sorry, a timer takes at most seven days.",
    no_city_yet="You have not asked me about a city yet.",
    first_city="You asked about {city} first.",
    nothing_said="I have not said anything yet.",
    repeat="You heard me say: {text}",
    nothing_left="That was all.",
    done="Done.",
    failed="Sorry, that did not work: {reason}.",
    failed_somehow="Sorry, that did not work.",
    weather="In {place} it is {what}.",
    weather_on="In {place} {day}: {what}.",
    temperature="{number} {degrees}",
    between="{low} to {high} {degrees}",
    up_to=("degree", "degrees"),
    condition="{temperature}, {condition}",
    precipitation=", precipitation {percent}",
    wind=" The wind is {speed}.",
    age=" That was {minutes} ago.",
    time="In {place} it is {time}.",
    time_here="It is {time}.",
    date="Today is {date}.",
    clock_unset="Sorry, my clock is not set yet.",
    minus="minus {number}",
    kmh="{number} kilometers per hour",
    mps="{number} meters per second",
    timer_set="{name} is set: {duration}.",
    alarm_set="{name} is set for {when}.",
    forgets=" It will be forgotten if the device restarts.",
    at="{time}",
    at_on="{time} {day}",
    no_timers="No timers or alarms are set.",
    timer_left="{name}: {duration} left.",
    alarm_at="{name}: {when}.",
    missed="{name} was missed.",
    rings="{name} is ringing.",
    cancelled="{names}: cancelled.",
    none_cancelled="There was nothing to cancel.",
    volume="The volume is {percent}.",
    muted="The microphone is off.",
    unmuted="The microphone is on.",
    unmute_by=" To switch it on again: {how}.",
    connected="I am connected.",
    connected_for="I have been connected for {duration}.",
    disconnected="I am not connected.",
    round_trip=" An answer from the server takes {time}.",
    reconnects=" I have had to connect again {times}.",
    wifi=" The Wi-Fi signal is at {number} decibels.",
    mic_muted=" The microphone is off.",
    trouble=" The {what} has trouble.",
    conjunction=" and ",
    every_day="every day",
    every="every {days}",
    story=STORY,
    plural=_plural,
    counted={
        "degree": ("degree", "degrees"),
        "percent": ("percent", "percent"),
        "millisecond": ("millisecond", "milliseconds"),
        "second": ("second", "seconds"),
        "minute": ("minute", "minutes"),
        "hour": ("hour", "hours"),
        "day": ("day", "days"),
        "time": ("time", "times"),
    },
    days={"today": "today", "tomorrow": "tomorrow"} | {day: f"on {day.title()}" for day in WEEKDAYS},
    repeats={day: day.title() for day in WEEKDAYS},
)
