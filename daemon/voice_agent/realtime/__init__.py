"""The realtime protocol: values (``events``), their wire form (``codec``), dialects (``providers``)."""
