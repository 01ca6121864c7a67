"""The vocabulary of our dashboards: what a query is, and each kind of panel.

In a query ``HERE`` stands for the labels that the board's variables choose, so that no query forgets one:
``voice_agent_ready{HERE}`` or ``voice_agent_ready{HERE, state="live"}``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import FieldColor
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BarGaugeNamePlacement,
    BarGaugeSizing,
    BarGaugeValueMode,
    BigValueColorMode,
    BigValueGraphMode,
    BigValueJustifyMode,
    BigValueTextMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.source.limits import BAD, GOOD, NEUTRAL, Limits, plain

Panel: TypeAlias = stat.Panel | timeseries.Panel | table.Panel | bargauge.Panel
Style = Literal["line", "area"]

STATES = {
    "live": GOOD,
    "parked": NEUTRAL,
    "connecting": "light-blue",
    "waiting": "orange",
    "refused": BAD,
    "exhausted": "purple",
    "gone": "dark-red",
}
"""Of a session, and the device whose metrics nobody can fetch: in which colours they are shown everywhere."""
MICROPHONES_ABSENT = (
    '(count(voice_agent_device_open{HERE, direction="input"} == 0'
    " unless ignoring (direction) voice_agent_microphone_muted == 1) or vector(0))"
)
LOUDSPEAKERS_ABSENT = 'sum(voice_agent_device_open{HERE, direction="output"} == bool 0)'
STAGES = {"model": "blue", "hold": "yellow", "own": "green", "device": "purple"}


@dataclass(frozen=True, slots=True)
class Query:
    """An expression and what its series are called. ``now``: only its last value is of interest."""

    expr: str
    legend: str = ""
    now: bool = False

    def build(self, ref: str, *, as_table: bool = False) -> prometheus.Dataquery:
        """For a panel."""
        query = prometheus.Dataquery().ref_id(ref).expr(self.expr).legend_format(self.legend or "__auto")
        form = PromQueryFormat.TABLE if as_table else PromQueryFormat.TIME_SERIES
        query.format(form)
        return query.instant() if self.now or as_table else query.range()


def figure(
    title: str,
    says: str,
    query: Query,
    *,
    unit: str,
    limits: Limits | None = None,
    width: int = 4,
    height: int = 4,
    decimals: int | None = None,
    text: BigValueTextMode = BigValueTextMode.VALUE,
    words: Mapping[str, tuple[str, str]] | None = None,
    fill: bool = False,
    empty: str = "-",
) -> stat.Panel:
    """One number that is read from afar. ``words``: what stands for a value, and its colour."""
    panel = stat.Panel().title(title).description(says).unit(unit).span(width).height(height)
    panel.with_target(query.build("A")).no_value(empty)
    panel.thresholds(limits.steps() if limits else plain())
    panel.color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    panel.color_mode(BigValueColorMode.BACKGROUND_SOLID if fill else BigValueColorMode.VALUE)
    panel.graph_mode(BigValueGraphMode.NONE if query.now else BigValueGraphMode.AREA)
    panel.justify_mode(BigValueJustifyMode.CENTER)
    panel.text_mode(text)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if words:
        panel.mappings([_mapping(words)])
    if decimals is not None:
        panel.decimals(decimals)
    return panel


def lines(
    title: str,
    says: str,
    *queries: Query,
    unit: str,
    limits: Limits | None = None,
    width: int = 12,
    height: int = 8,
    style: Style = "line",
    stacked: bool = False,
    colours: Mapping[str, str] | None = None,
    most: float | None = None,
    least: float | None = 0,
    decimals: int | None = None,
    empty: str | None = None,
) -> timeseries.Panel:
    """How something went. ``limits``: drawn as dashed lines; ``most``: how far the axis reaches at least.

    ``empty``: what stands there without any series, where that is no fault.
    """
    panel = timeseries.Panel().title(title).description(says).unit(unit).span(width).height(height)
    if empty is not None:
        panel.no_value(empty)
    for ref, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(query.build(ref))
    _drawn(panel, style, stacked=stacked)
    panel.legend(_legend()).tooltip(_tooltip())
    panel.color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    panel.thresholds(limits.steps() if limits else plain(GOOD))
    if limits:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    if least is not None:
        panel.min(least)
    if most is not None or unit == "none":
        panel.axis_soft_max(most or 1)
    if decimals is not None:
        panel.decimals(decimals)
    for name, colour in (colours or {}).items():
        panel.override_by_name(name, [_fixed(colour)])
    return panel


def bars(
    title: str,
    says: str,
    query: Query,
    *,
    unit: str,
    limits: Limits | None = None,
    width: int = 8,
    height: int = 8,
    most: float | None = None,
    decimals: int | None = None,
) -> bargauge.Panel:
    """Several numbers side by side, now."""
    panel = bargauge.Panel().title(title).description(says).unit(unit).span(width).height(height)
    panel.with_target(query.build("A")).min(0)
    panel.thresholds(limits.steps() if limits else plain(NEUTRAL))
    panel.color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    panel.display_mode(BarGaugeDisplayMode.BASIC).orientation(VizOrientation.HORIZONTAL)
    panel.sizing(BarGaugeSizing.MANUAL).min_viz_height(16).max_viz_height(28)
    panel.text(common.VizTextDisplayOptions().title_size(12).value_size(14))
    panel.value_mode(BarGaugeValueMode.TEXT).name_placement(BarGaugeNamePlacement.LEFT).show_unfilled(True)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if most is not None:
        panel.max(most)
    if decimals is not None:
        panel.decimals(decimals)
    return panel


@dataclass(frozen=True, slots=True)
class Column:
    """Of a table. ``key``: a label, or the letter of the query whose value stands in it.

    ``colours``: of values that stand as they are; ``words``: what stands for a value, and its colour.
    """

    title: str
    key: str
    unit: str | None = None
    limits: Limits | None = None
    colours: Mapping[str, str] | None = None
    words: Mapping[str, tuple[str, str]] | None = None
    decimals: int | None = None
    width: int | None = None
    link: tuple[str, str] | None = None

    @property
    def field(self) -> str:
        """What Grafana calls it before it is renamed."""
        return f"Value #{self.key}" if len(self.key) == 1 else self.key


def rows(
    title: str,
    says: str,
    queries: Sequence[str],
    columns: Sequence[Column],
    *,
    by: str,
    sort: str,
    descending: bool = True,
    unit: str = "short",
    width: int = 24,
    height: int = 10,
    empty: str = "-",
) -> table.Panel:
    """A table of instant values; ``by``: the label that all queries share, one row for each of its values."""
    panel = table.Panel().title(title).description(says).unit(unit).span(width).height(height)
    for ref, expr in zip("ABCDEFGHIJ", queries, strict=False):
        panel.with_target(Query(expr).build(ref, as_table=True))
    panel.transformations(_arranged(columns, by if len(queries) > 1 else None))
    panel.thresholds(plain()).show_header(True).no_value(empty)
    panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(descending)])
    for column in columns:
        if properties := _properties(column):
            panel.override_by_name(column.title, properties)
    return panel


def _arranged(columns: Sequence[Column], by: str | None) -> list[DataTransformerConfig]:
    """Join what several queries gave, keep these columns in this order, and give them names for people."""
    arranged = []
    if by:
        arranged.append(DataTransformerConfig("joinByField", options={"byField": by, "mode": "outer"}))
    fields = [column.field for column in columns]
    arranged.append(DataTransformerConfig("filterFieldsByName", options={"include": {"names": fields}}))
    order = {field: index for index, field in enumerate(fields)}
    names = {column.field: column.title for column in columns}
    options = {"indexByName": order, "renameByName": names, "excludeByName": {}, "includeByName": {}}
    arranged.append(DataTransformerConfig("organize", options=options))
    return arranged


def _properties(column: Column) -> list[DynamicConfigValue]:
    properties = []
    if column.unit:
        properties.append(DynamicConfigValue("unit", column.unit))
    if column.decimals is not None:
        properties.append(DynamicConfigValue("decimals", column.decimals))
    if column.width:
        properties.append(DynamicConfigValue("custom.width", column.width))
    if column.limits:
        properties.append(DynamicConfigValue("thresholds", column.limits.steps().build()))
        properties.append(DynamicConfigValue("color", {"mode": "thresholds"}))
    words = column.words or {value: (value, colour) for value, colour in (column.colours or {}).items()}
    if words:
        properties.append(DynamicConfigValue("mappings", [_mapping(words)]))
    if column.limits or words:
        properties.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    if column.link:
        title, url = column.link
        properties.append(DynamicConfigValue("links", [{"title": title, "url": url}]))
    return properties


def _drawn(panel: timeseries.Panel, style: Style, *, stacked: bool) -> None:
    panel.draw_style(GraphDrawStyle.LINE).line_interpolation(LineInterpolation.LINEAR)
    panel.show_points(VisibilityMode.NEVER).axis_border_show(False)
    panel.line_width(1 if stacked else 2).fill_opacity({"line": 4, "area": 50}[style])
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    else:
        panel.span_nulls(300_000)  # ms: a figure that is absent for a while is drawn as one line


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(True)
    return legend.placement(LegendPlacement.BOTTOM).calcs([])


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)


def _fixed(colour: str) -> DynamicConfigValue:
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def _mapping(words: Mapping[str, tuple[str, str]]) -> ValueMapping:
    numbered = enumerate(words.items())
    return ValueMap(
        {value: ValueMappingResult(text, colour, index=index) for index, (value, (text, colour)) in numbered}
    )
