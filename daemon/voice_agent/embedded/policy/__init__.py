"""A dialogue policy of rules: templates understand, the conversation is the memory, words are rendered.

``Rules`` keeps no state of its own. What it knows is in the lines it is given, so a truncated answer, a
deleted item or a restored history change what it knows, as they would for a language model.
"""

from voice_agent.embedded.policy.rules import Rules

__all__ = ["Rules"]
