"""The weather of a place, from a server with Open-Meteo's public API (no key needed).

* ``service``: the two questions (where is it, what is the weather there) over HTTP, checked and bounded.
* ``cache``: answers are kept for a while, and asked for once however many wait for them.
* ``conditions``: Open-Meteo's weather codes in words.
* ``tool``: ``get_weather``, in the user's language and units.
"""

from voice_agent.tools.weather.conditions import Language
from voice_agent.tools.weather.service import Units, WeatherService
from voice_agent.tools.weather.tool import Home, weather_tool

__all__ = ["Home", "Language", "Units", "WeatherService", "weather_tool"]
