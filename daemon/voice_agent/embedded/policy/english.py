"""English."""

from voice_agent.embedded.policy.language import Language, Phrases

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

ENGLISH = Language(
    code="en",
    templates={
        "weather": (
            "[<ask>] [current] (weather|forecast|temperature) [like] [<when>] <at> {city} [<when>]",
            "[<ask>] (weather|forecast|temperature) [like] [<when>]",
            "how (cold|warm|hot) is it [<when>] <at> {city} [<when>]",
            "is it (raining|snowing|cold|warm|hot|sunny) <at> {city} [<when>]",
            "[<ask>] {city} weather",
        ),
        "time": (
            "[<ask>] time [is it] [<when>] <at> {city} [<when>]",
            "[<ask>] [current] time [is it] [<when>]",
        ),
        "date": (
            "[<ask>] (date|day) [is it] [<when>] <at> {city}",
            "[<ask>] (date|day) [is it] [<when>]",
        ),
        "follow": ("[and] (what about|how about) [<at>] {city}", "and <at> {city}", "<at> {city}"),
        "first_city": (
            "[and] (which|what) (city|place|town) did i (ask|talk) [you] [about] (first|[at] the beginning)",
            "[and] what was the first (city|place|town) [that] [i] [asked] [you] [about]",
        ),
        "story": ("[please] (tell|read) [me] [a] [very] [long] [bedtime] story [please]",),
        "continue": ("[please] (continue|go on|carry on|keep going) [the story|with the story] [please]",),
        "repeat": (
            "[please] (repeat|repeat that|say that again|say it again) [please]",
            "[and] what did you [just] say [last]",
            "where (did you stop|were you)",
        ),
        "stop": ("[ok|okay|please] (stop|stop it|be quiet|enough|that's enough|shut up|quiet) [please]",),
        "greeting": ("(hello|hi|hey|good morning|good evening|good afternoon) [there]",),
        "how_are_you": ("[hello|hi] how are you [today|doing]",),
        "thanks": ("[ok|okay] (thanks|thank you) [very much|a lot|so much]",),
        "bye": ("(bye|goodbye|good bye|good night|see you) [bye|later]",),
        "who": ("who are you", "what can you do", "[please] help [me]", "what is your name"),
    },
    rules={
        "ask": "[please|so|and|now] (what|what is|what's|how is|how's|tell me|show|give me) [me] [the]",
        "when": "(right now|now|today|at the moment|currently|please)",
        "at": "(in|at|for|of)",
    },
    examples={
        "weather": ("what is the weather in {city}", "how is the weather in {city}"),
        "time": ("what time is it in {city}", "what is the time in {city}"),
        "follow": ("and in {city}", "what about {city}"),
        "first_city": ("which city did i ask about first",),
        "story": ("tell me a long story", "tell me a story"),
        "continue": ("continue", "please go on"),
        "repeat": ("what did you say", "say that again"),
        "stop": ("stop", "please stop", "be quiet"),
        "greeting": ("hello", "hello there", "good morning"),
        "thanks": ("thank you", "thanks"),
        "bye": ("goodbye",),
        "who": ("who are you", "what can you do"),
    },
    cities={
        name.lower(): name
        for name in (
            "Moscow",
            "Saint Petersburg",
            "London",
            "Paris",
            "Berlin",
            "Rome",
            "Madrid",
            "Tokyo",
            "New York",
            "Sydney",
            "Cairo",
            "Mumbai",
            "Dubai",
        )
    }
    | {"st petersburg": "Saint Petersburg", "st. petersburg": "Saint Petersburg"},
    conjunction=" and ",
    recap=r"earlier|so far|before this|recap|previous",
    phrases=Phrases(
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
        can_story="I can also tell you a story.",
        no_tool="Sorry, I have no tool to look that up.",
        which_city="For which city?",
        no_city_yet="You have not asked me about a city yet.",
        first_city="You asked about {city} first.",
        nothing_said="I have not said anything yet.",
        repeat="You heard me say: {text}",
        nothing_left="That was all.",
        failed="Sorry, that did not work: {reason}.",
        weather="In {place} it is {what}.",
        temperature="{number} {degrees}",
        degrees=lambda number: "degree" if number == 1 else "degrees",
        condition="{temperature}, {condition}",
        wind=" The wind is {speed}.",
        time="In {place} it is {time}.",
        time_here="It is {time}.",
        date="Today is {date}.",
        minus="minus {number}",
        kmh="{number} kilometers per hour",
        mps="{number} meters per second",
        story=STORY,
    ),
)
