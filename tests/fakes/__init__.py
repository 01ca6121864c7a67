"""Models of the world around the core: what a server and a loudspeaker may do, in a few lines each."""
