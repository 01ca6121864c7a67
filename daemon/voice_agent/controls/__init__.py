"""What people can do to the device: press and release the button, mute and unmute, stop, and set the volume.

* ``panel``: what each of these does, whoever asks for it.
* ``requests``: how a request from outside of the process becomes one of them.
* ``button``: a key of an input device as a button.
* ``command`` and ``client``: the command line's side of such a request.
* ``status``: the command that says how the daemon is.
* ``desk`` and ``tools``: the tools that a model may call, listed and run for people.
"""
