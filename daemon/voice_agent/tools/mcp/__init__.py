"""Tools that servers of the Model Context Protocol offer: programs of this machine, or sites.

    settings   what the operator wrote about one server
    gathering  all servers together; a look at them without a daemon
    keeper     keeps one server connected, for ever
    connection what the keeper needs of the SDK, and how it is loaded
    child      a program with pipes, ended with all that it has begun
    offers     what a server says about its tools, as tools of ours
    results    what a call brought, for the model

    session    one connection, in the hands of the SDK
    pipes      the SDK's transport to a program
    site       the SDK's transport to a site

The SDK costs 45 MB and more than a second, so nobody but the last three imports it, and they are imported in
a thread when a server is configured. Each connection lives in a task of its own, which is left behind if it
does not end.
"""
