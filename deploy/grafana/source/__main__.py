"""Write every dashboard to ``deploy/grafana/dashboards``; ``make dashboards`` calls this."""

from deploy.grafana.source.catalogue import write

if __name__ == "__main__":
    write()
