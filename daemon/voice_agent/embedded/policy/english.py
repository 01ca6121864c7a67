"""English: how it is understood."""
# ruff: noqa: E501 - a template stands on one line

from voice_agent.embedded.policy.english_phrases import PHRASES
from voice_agent.embedded.policy.language import Language
from voice_agent.embedded.policy.quantities import WEEKDAYS, Numerals

ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred"]

NUMERALS = Numerals(
    words={word: number for number, word in enumerate(ONES)}
    | {word: number * 10 for number, word in enumerate(TENS, 2)},
    rewrites=(
        (r"(\d)-(?=\w)", r"\1 "),
        (r"\b(\d+|an) hours? and (?:a )?half\b", r"\1 hour 30 minutes"),
        (r"\b(\d+|a) minutes? and (?:a )?half\b", r"\1 minute 30 seconds"),
        (r"\b(\d+) and (?:a )?half hours?\b", r"\1 hours 30 minutes"),
        (r"\b(\d+) and (?:a )?half minutes?\b", r"\1 minutes 30 seconds"),
        (r"\b(?:a )?half (?:an? )?hour\b", "30 minutes"),
        (r"\b(?:a )?half (?:a )?minute\b", "30 seconds"),
        (r"\b3 quarters of an hour\b", "45 minutes"),
        (r"\b(?:a )?quarter of an hour\b", "15 minutes"),
        (r"\ba couple of (?=hours|minutes|seconds)", "2 "),
        (r"\ban? (?=(?:hour|minute|second)\b)", "1 "),
        (r"\bhalf past (\d+)\b", r"\1 30"),
        (r"\b(?:a )?quarter past (\d+)\b", r"\1 15"),
        (r"\b(?:a )?quarter to (\d+)\b", r"15 before \1"),
        (r"\b(\d+)(?: minutes)? past (\d+)\b", r"\2 \1"),
        (r"\b(\d+)(?: minutes)? to (\d+)\b", r"\1 before \2"),
        (r"\b(?:o|oh) (\d)\b", r"0\1"),
        (r"\b(?!\d00\b)(\d{1,2})([0-5]\d)\b(?! (?:percent|seconds|minutes|hours))", r"\1 \2"),
        (r"\b(?:12 )?(?:noon|midday)\b", "12 pm"),
        (r"\b(?:12 )?midnight\b", "12 am"),
        (r"\b(tomorrow|\w+day) morning\b", r"\1"),
        (r"\btonight at (\d{1,2}(?: \d\d)?)(?: p ?m)?\b", r"at \1 pm"),
        (r"\b(\d{1,2}(?: \d\d)?)(?: p ?m)? tonight\b", r"\1 pm"),
    ),
    units={"hour": 3600, "hours": 3600, "minute": 60, "minutes": 60, "min": 60, "second": 1, "seconds": 1},
    joint="and",
    time=(
        r"\b(?:(?P<to>\d{1,2}) before )?(?P<hour>\d{1,2})(?: o'?clock)?(?: (?P<minute>\d{1,2}))?(?: o'?clock)?"
        r"(?: ?(?P<part>a ?m|p ?m|in the morning|in the afternoon|in the evening|at night))?"
        r"\b(?! (?:percent|hours?|minutes?|min|seconds?)\b)"
    ),
    parts={"am": "am", "a m": "am", "pm": "pm", "p m": "pm", "in the morning": "am"}
    | {"in the afternoon": "pm", "in the evening": "pm", "at night": "night"},
    number=r"\b(\d{1,3})(?: ?percents?)?\b",
    days={day: day for day in WEEKDAYS}
    | {"tomorrow": "tomorrow", "the day after tomorrow": "overmorrow", "day after tomorrow": "overmorrow"},
    repeats={f"on {day}s": (day,) for day in WEEKDAYS}
    | dict.fromkeys(("every day", "everyday", "each day", "daily", "every morning"), WEEKDAYS)
    | dict.fromkeys(("every weekday", "on weekdays", "weekdays"), WEEKDAYS[:5])
    | dict.fromkeys(("every weekend", "on weekends"), WEEKDAYS[5:]),
    every="every|each",
)

ENGLISH = Language(
    code="en",
    templates={
        "weather": (
            "[<ask>] [current] <weather> [be] [like] [<when>] <at> {city} [<when>] [be] [like]",
            "[<ask>] [current] <weather> [be] [like] [<when>]",
            "how (cold|warm|hot) (is|will) it [be] [<when>] <at> {city} [<when>]",
            "is it (raining|snowing|cold|warm|hot|sunny) <at> {city} [<when>]",
            "will it (rain|snow|be <feeling>) [<when>] <at> {city} [<when>]",
            "will it (rain|snow|be <feeling>) <when>",
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
        "follow": (
            "[and] (what about|how about) [<at>] {city} [<day>]",
            "[and] (what about|how about) <day>",
            "and <at> {city} [<day>]",
            "and <day>",
            "<at> {city}",
        ),
        "timer": (
            "[<please>] <set> timer (for|of|to|at) {duration} [<called> {label}] [please]",
            "[<please>] <set> {duration} timer [<called> {label}] [please]",
            "[<please>] <set> {label} timer (for|of|to) {duration} [please]",
            "[<please>] <set> timer <called> {label} (for|of) {duration} [please]",
            "[<please>] <set> timer [<called> {label}] [please]",
            "[<please>] <set> alarm (for|in) {duration}",
            "[a] timer [for] {duration} [please]",
            "[a] {duration} timer [please]",
            "[<please>] <wake> (in|after) {duration} [please]",
            "[please] (time|count) {duration}",
        ),
        "alarm": (
            "[<please>] <set> alarm [<day>] [for|at|to] [<day>] {time} [<day>] [<called> {label}] [please]",
            "[<please>] <set> {time} alarm [<day>] [please]",
            "[<please>] <wake> [<day>] [at|by] [<day>] {time} [<day>] [please]",
            "[an] alarm (for|at) {time} [<day>] [please]",
            "[<please>] (<set> alarm|<wake>) [please]",
        ),
        "span": ("[for|in] {duration} [please]",),
        "moment": ("[<day>] [at|for] {time} [<day>] [please]",),
        "timers": (
            "(which|what) <clocks> (are|is|do|did|have) [<ours>] [i|you|we|there] [have|set|got] [<running>]",
            "[<ask>] <ours> <clocks>",
            "(list|show|tell me|read) [me] [all] [the|my] [about] <clocks>",
            "(do i have|have i [got]|are there|is there) [a|any] <clocks> [<running>]",
            "how (much time|much longer|long) <remains> [left] [(on|for) <ours> [{label}] <clocks>]",
            "how much time [is left] [on] <ours> <clocks> [left]",
            "when (does|will) <ours> [{label}] <clocks> (ring|go off|end|finish)",
            "(check|what about) <ours> <clocks>",
        ),
        "cancel": (
            "[<please>] <cancel> <ours> <clock> [<called> {label}] [please]",
            "[<please>] <cancel> <ours> {label} <clock> [please]",
        ),
        "cancel_all": (
            "[<please>] <cancel> (all|all of|every|both) [<ours>] <clocks> [please]",
            "[<please>] <cancel> <ours> (timers|alarms|timers and alarms) [please]",
            "[<please>] <cancel> (everything|them all|all of them) [please]",
        ),
        "volume": (
            "[<please>] (set|put|change|turn|make|bring) <volume> [up|down] [to|at] {number} [please]",
            "[turn] <volume> [up|down] [to|at|level] {number} [please]",
        ),
        "louder": (
            "[<please>] <louder> [by {number}] [please]",
            "[i|sorry] (can't|cannot|can not) hear you",
            "you are too quiet",
        ),
        "slightly_louder": ("[<please>] [make it|speak|talk|turn it] <slightly> (louder|up) [please]",),
        "quieter": (
            "[<please>] <quieter> [by {number}] [please]",
            "(you are|that is|that's|you're|it's) too loud",
        ),
        "slightly_quieter": (
            "[<please>] [make it|speak|talk|turn it] <slightly> (quieter|softer|lower|down) [please]",
        ),
        "loudest": (
            "[<please>] [set|turn|put] [<volume>] [up] [to] [the] (maximum|full|max) [volume] [please]",
            "as loud as (you can|possible)",
        ),
        "mute": (
            "[<please>] (mute|disable|close) [<ours>] <microphone> [please]",
            "[<please>] (turn|switch) off [<ours>] <microphone> [please]",
            "[<please>] (turn|switch) [<ours>] <microphone> off [please]",
            "[<please>] (stop listening|mute yourself|don't listen|do not listen) [to (me|us)] [please]",
        ),
        "status": (
            "how is <ours> (connection|network|internet|wifi|wi-fi|signal|device|system)",
            "[<ask>] [<ours>] [device|connection|network|system] status",
            "are you [still] (online|connected|okay|ok|all right)",
            "(do you have|is there|have you got) [an|a] (internet|connection|network) [connection]",
            "is <ours> (connection|network|internet) [connection] (ok|okay|good|fine|working)",
            "is everything (ok|okay|fine|working|all right)",
        ),
        "first_city": (
            "[and] (which|what) (city|place|town) did i (ask|talk) [you] [about] (first|[at] the beginning)",
            "[and] what was the first (city|place|town) [that] [i] [asked] [you] [about]",
        ),
        "story": ("[please] (tell|read) [me] [a] [very] [long] [bedtime] story [please]",),
        "continue": ("[please] (continue|go on|carry on|keep going) [the story|with the story] [please]",),
        "repeat": (
            "[please] [can you|could you] (repeat|repeat that|say that again|say it again) [please]",
            "[please] repeat [your|the] [last] answer [please]",
            "[and|sorry] what did you [just] say [last]",
            "[sorry] (pardon|come again|once again|once more|say again) [please]",
            "where (did you stop|were you)",
        ),
        "stop": (
            "[ok|okay|please] (stop|stop it|be quiet|enough|that's enough|shut up|quiet|silence|hush) [please]",
            "[ok|okay|please] stop (talking|ringing|that|that noise|the noise|speaking) [please]",
        ),
        "greeting": ("(hello|hi|hey|good morning|good evening|good afternoon) [there]",),
        "how_are_you": ("[hello|hi] how are you [today|doing]",),
        "thanks": ("[ok|okay] (thanks|thank you) [very much|a lot|so much]",),
        "bye": (
            "[ok|okay] [thanks|thank you] (bye|goodbye|good bye|good night|see you) [bye|later|for now]",
            "[ok|okay] [thanks|thank you] (that's|that is|that was|that will be) (all|it|everything) [<bye_now>]",
            "(end|finish|close) [the|this|our] conversation [please]",
            "[you can] go to sleep [now]",
            "[ok|okay] (i am|i'm|we are|we're) (done|finished) [<bye_now>]",
        ),
        "who": ("who are you", "what can you do", "[please] help [me]", "what is your name"),
    },
    rules={
        "please": "(please|so|and|now|can you|could you|will you|would you|i want you to|i would like you to)",
        "ask": (
            "[please|so|and|now] (what|what is|what's|what will|what'll|how is|how's|how will|tell me|show|give me)"
            " [me] [the]"
        ),
        "weather": "[the] (weather|forecast|temperature|weather forecast)",
        "feeling": "(cold|warm|hot|sunny|dry|wet)",
        "when": "(right now|now|today|at the moment|currently|please|[on|for|this|next] {day})",
        "at": "(in|at|for|of)",
        "day": "(today|[on|for|this|next] {day}|{repeat})",
        "set": "(set|start|make|create|put on|give me|i need|i want) [me] [up] [a|an|the|another|one] [new]",
        "called": "(called|named|name it|call it|for [the|my])",
        "wake": "(wake me [up]|wake up|get me up|remind me|ring|call me|let me know|tell me)",
        "clock": "(timer|alarm|alarm clock)",
        "clocks": "(timer|timers|alarm|alarms|timers and alarms|alarms and timers)",
        "ours": "(the|my|your|a|this|that|[are] there)",
        "remains": "(is left|is there|do i have|remains|left)",
        "running": "(set|running|on|left|active|going|there|now|at the moment)",
        "cancel": "(cancel|delete|remove|stop|turn off|switch off|clear|end|kill)",
        "volume": "[the|your] (volume|loudness|sound)",
        "slightly": "(a bit|a little|a little bit|slightly)",
        "louder": (
            "([make it|speak|talk|play|turn it] (louder|more loudly)|speak up|turn it up|volume up"
            "|(turn|bring) up <volume>|(turn|bring) <volume> up|(increase|raise) <volume>)"
        ),
        "quieter": (
            "([make it|speak|talk|play|turn it] (quieter|softer|more quietly|less loud)|turn it down|volume down"
            "|(turn|bring) down <volume>|(turn|bring) <volume> down|(decrease|lower|reduce) <volume>)"
        ),
        "microphone": "(microphone|mic|mike)",
        "bye_now": "(thanks|thank you|for now|for today|bye|goodbye)",
    },
    examples={
        "weather": (
            "what is the weather in {city}",
            "how is the weather in {city}",
            "what is the weather in {city} {day}",
            "what will the weather be {day} in {city}",
        ),
        "time": ("what time is it in {city}", "what is the time in {city}", "what time is it"),
        "follow": ("and in {city}", "what about {city}"),
        "timer": ("set a timer for {duration}", "start a timer for {duration}"),
        "alarm": (
            "set an alarm for {time}",
            "wake me up at {time}",
            "wake me up {day} at {time}",
            "set an alarm {repeat} at {time}",
        ),
        "timers": ("which timers are set", "what timers are there", "how much time is left"),
        "cancel": ("cancel the timer", "cancel the alarm", "stop the timer", "stop the alarm"),
        "cancel_all": ("cancel all timers", "cancel all alarms"),
        "volume": ("set the volume to {number}", "volume {number}"),
        "louder": ("louder", "turn the volume up", "turn up the volume", "speak louder"),
        "quieter": ("quieter", "turn the volume down", "turn down the volume", "speak more quietly"),
        "mute": ("mute the microphone", "turn off the microphone"),
        "status": ("how is your connection", "device status", "are you connected"),
        "first_city": ("which city did i ask about first",),
        "story": ("tell me a long story", "tell me a story"),
        "continue": ("continue", "please go on"),
        "repeat": ("what did you say", "say that again", "repeat that please"),
        "stop": ("stop", "please stop", "be quiet"),
        "greeting": ("hello", "hello there", "good morning"),
        "thanks": ("thank you", "thanks"),
        "bye": ("goodbye", "good bye", "that's all"),
        "who": ("who are you", "what can you do"),
    },
    numerals=NUMERALS,
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
    signs={"%": " percent"},
    conjunction=" and ",
    recap=r"earlier|so far|before this|recap|previous",
    phrases=PHRASES,
)
