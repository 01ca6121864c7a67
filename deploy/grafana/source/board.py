"""A board: its variables, the way to the other boards, marks in time, and rows of panels."""

import re
from typing import Literal

from grafana_foundation_sdk.builders import dashboard as sdk
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.grafana.source.panels import Panel

SOURCE = DataSourceRef("prometheus", "${datasource}")
TAG = "voice-agent"
JOB = 'job="voice-agent"'
Scope = Literal["sites", "devices", "device"]
"""What is looked at: sites of fleets, some of their devices, or one device."""

SELECTORS = {
    "sites": 'fleet=~"$fleet", site=~"$site"',
    "devices": 'fleet=~"$fleet", site=~"$site", instance=~"$instance"',
    "device": 'fleet=~"$fleet", site=~"$site", instance="$instance"',
}
EVERYTHING = VariableOption(selected=True, text="All", value="$__all")
WINDOWS = ("1m", "5m", "15m", "1h", "6h", "1d")
LABEL_VALUES = 1
"""What Grafana's editor of variables calls them."""
LOST = 'voice_agent_disconnects_total{HERE, cause!~"renewed|parked|allowance"}'
MARKS = (
    ("Restarts", "red", f"time() - process_start_time_seconds{{{JOB}, HERE}} < 120"),
    ("Lost sessions", "orange", f"sum without (cause) (increase({LOST}[$__rate_interval])) > 0.5"),
    ("Renewals", "blue", "increase(voice_agent_renewals_total{HERE}[$__rate_interval]) > 0.5"),
)  # fmt: skip
"""What explains a dent at a glance: name, colour, expression. Grafana asks once a minute."""


class Board:
    """Grows row by row; ``build`` gives what Grafana reads."""

    def __init__(
        self, name: str, title: str, says: str, *, scope: Scope, since: str, window: str = ""
    ) -> None:
        self._selector = SELECTORS[scope]
        self._board = sdk.Dashboard(f"Voice agent / {title}").uid(f"voice-agent-{name}").description(says)
        self._board.tags([TAG]).editable().timezone("browser").time(since, "now").refresh("1m")
        self._board.tooltip(DashboardCursorSync.CROSSHAIR)
        self._marked = scope == "device"
        self._ways()
        self._variables(scope, window)

    def row(self, title: str, *panels: Panel) -> None:
        """Panels under a heading; widths of 24 fill a line. Without a heading if it is empty."""
        if title:
            self._board.with_row(sdk.Row(title))
        for panel in panels:
            self._board.with_panel(panel.datasource(SOURCE))

    def build(self) -> Dashboard:
        """What all the queries mean by ``HERE`` is put in, and each panel gets a number."""
        board = self._board.build()
        number = 0
        for number, panel in enumerate(board.panels or [], 1):
            panel.id_val = number
            for target in getattr(panel, "targets", None) or []:
                target.expr = self._here(target.expr)
                target.datasource = SOURCE
        if self._marked:
            self._mark(board)
        return board

    def _here(self, expr: str) -> str:
        return re.sub(r"\s+", " ", expr.replace("HERE", self._selector)).strip()

    def _ways(self) -> None:
        way = sdk.DashboardLink("Boards").type(DashboardLinkType.DASHBOARDS).tags([TAG])
        self._board.link(way.as_dropdown(False).include_vars(True).keep_time(True).icon("external link"))

    def _variables(self, scope: Scope, window: str) -> None:
        source = sdk.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
        self._board.with_variable(source)
        series = "voice_agent_build_info"
        self._choose(_choice("fleet", series))
        self._choose(_choice("site", f'{series}{{fleet=~"$fleet"}}'))
        device = _choice("instance", f'{series}{{fleet=~"$fleet", site=~"$site"}}').label("Device")
        if scope == "devices":
            self._choose(device)
        if scope == "device":
            self._board.with_variable(device)
        if window:
            self._board.with_variable(_window(window))

    def _choose(self, variable: sdk.QueryVariable) -> None:
        """Some or all; what has no such label belongs to all, too."""
        variable.multi(True).include_all(True).all_value(".*").current(EVERYTHING)
        self._board.with_variable(variable)

    def _mark(self, board: Dashboard) -> None:
        marks = [_mark(name, colour, self._here(expr)) for name, colour, expr in MARKS]
        board.annotations.list_val = marks


def _choice(label: str, series: str) -> sdk.QueryVariable:
    query: dict[str, object] = {
        "qryType": LABEL_VALUES,
        "query": f"label_values({series}, {label})",
        "refId": label,
    }
    variable = sdk.QueryVariable(label).label(label.capitalize()).datasource(SOURCE).query(query)
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)


def _window(chosen: str) -> sdk.CustomVariable:
    """Over how much time averages and quantiles are taken: one device hears few turns, a fleet many."""
    options = [VariableOption(each == chosen, each, each) for each in WINDOWS]
    window = sdk.CustomVariable("window").label("Averaged over").values(",".join(WINDOWS))
    return window.options(options).current(VariableOption(True, chosen, chosen))


def _mark(name: str, colour: str, expr: str) -> AnnotationQuery:
    mark = sdk.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(colour)
    return mark.expr(expr).build()
