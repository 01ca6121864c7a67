"""Real PyAudio streams on a virtual sound card."""
