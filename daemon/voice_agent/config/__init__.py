"""The configuration: a TOML file as frozen values.

* ``schema``: every setting with its unit, range and default; of ``sound`` and ``declared`` tools beside it.
* ``rules``: what no single setting can state: secrets have no place here, and settings must fit together.
* ``tables``: TOML tables into Structs, whatever the settings are; ``template``: and back; ``shapes``: what
  Structs say about themselves.
* ``reading``: ``load``, which reports everything that is wrong with a file at once, and ``template``.
"""

from voice_agent.config.declared import CommandTool, HttpTool, McpServer
from voice_agent.config.reading import InvalidConfig, load, parse, template
from voice_agent.config.rules import exposed
from voice_agent.config.schema import KEYLESS, Config, Kind, ToolName
from voice_agent.config.tables import Problem

__all__ = [
    "KEYLESS",
    "CommandTool",
    "Config",
    "HttpTool",
    "InvalidConfig",
    "Kind",
    "McpServer",
    "Problem",
    "ToolName",
    "exposed",
    "load",
    "parse",
    "template",
]
