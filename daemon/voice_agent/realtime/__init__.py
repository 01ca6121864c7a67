"""The realtime protocol as values (``events``), their wire form (``codec``) and its dialects (``providers``)."""
