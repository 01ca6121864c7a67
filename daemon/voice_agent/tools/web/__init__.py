"""Tools that ask web services.

* ``tool``: what ``[[tools.http]]`` declares as a tool.
* ``address``: the address of a call, in which an argument is never more than an argument.
* ``access``: which servers may be reached, over redirects and whatever names mean.
* ``exchange``: one request and its reply.
"""

from voice_agent.tools.web.tool import web_tool

__all__ = ["web_tool"]
