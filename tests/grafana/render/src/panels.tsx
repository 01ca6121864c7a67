// Each kind of panel as Grafana's own plugin of that name puts it together from the published components.
import React from 'react';
import {
  DataFrame, FieldDisplay, GrafanaTheme2, TimeRange, VizOrientation, dateTime, getFieldDisplayValues,
} from '@grafana/data';
import { BarGauge, BigValue, TimeSeries, UPlotConfigBuilder, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

export interface Drawing {
  panel: any;
  frames: DataFrame[];
  range: TimeRange;
  marks: Mark[];
  width: number;
  height: number;
  theme: GrafanaTheme2;
}
export interface Mark { at: number; colour: string }

const asIs = (text: string) => text;

function values({ panel, frames, theme }: Drawing): FieldDisplay[] {
  const found = getFieldDisplayValues({
    data: frames, fieldConfig: panel.fieldConfig, reduceOptions: { ...panel.options.reduceOptions, values: false },
    replaceVariables: asIs, theme, timeZone: 'utc', sparkline: true,
  });
  return found.length ? found : [{ display: { text: panel.fieldConfig.defaults.noValue ?? 'No data', numeric: NaN } } as FieldDisplay];
}

function Stat(drawing: Drawing) {
  const { panel, width, height, theme } = drawing;
  const { colorMode, graphMode, justifyMode, textMode } = panel.options;
  const all = values(drawing);
  return (
    <div style={{ display: 'flex' }}>
      {all.map((one, index) => (
        <BigValue
          key={index} theme={theme} value={one.display} sparkline={graphMode === 'none' ? undefined : one.sparkline}
          width={width / all.length} height={height} colorMode={colorMode} graphMode={graphMode}
          justifyMode={justifyMode} textMode={textMode} count={all.length}
        />
      ))}
    </div>
  );
}

function Bars(drawing: Drawing) {
  const { panel, width, height, theme } = drawing;
  const { displayMode, valueMode, namePlacement, showUnfilled, minVizHeight, maxVizHeight, text } = panel.options;
  return (
    <VizRepeater
      source={drawing.frames} getValues={() => values(drawing)} width={width} height={height} renderCounter={1}
      orientation={VizOrientation.Horizontal} itemSpacing={10} minVizHeight={minVizHeight ?? 16} maxVizHeight={maxVizHeight ?? 300}
      getAlignmentFactors={(all) => ({
        title: longest(all.map((one) => one.display.title ?? '')), text: longest(all.map((one) => one.display.text)),
      })}
      renderValue={({ value, width, height, orientation, alignmentFactors }) => (
        <BarGauge
          value={value.display} width={width} height={height} orientation={orientation} field={value.field}
          display={value.view?.getFieldDisplayProcessor?.(value.colIndex ?? 0)} theme={theme} itemSpacing={10}
          lcdCellWidth={10} text={text} displayMode={displayMode} valueDisplayMode={valueMode} namePlacement={namePlacement}
          showUnfilled={showUnfilled} alignmentFactors={alignmentFactors as any} isOverflow={false}
        />
      )}
    />
  );
}

function longest(texts: string[]): string {
  return texts.reduce((one, other) => (other.length > one.length ? other : one), '');
}

function Lines({ panel, frames, range, marks, width, height }: Drawing) {
  return (
    <TimeSeries
      frames={frames} structureRev={1} timeRange={range} timeZone="utc" width={width} height={height}
      legend={panel.options.legend} options={{}} tweakScale={(scale) => scale} tweakAxis={(axis) => axis}
    >
      {(builder) => <Marks builder={builder} marks={marks} />}
    </TimeSeries>
  );
}

// Grafana's application draws annotations; its packages do not. A dashed line and a triangle, as it does.
function Marks({ builder, marks }: { builder: UPlotConfigBuilder; marks: Mark[] }) {
  builder.addHook('draw', (plot) => {
    const { left, top, width, height } = plot.bbox;
    for (const { at, colour } of marks) {
      const x = Math.round(plot.valToPos(at, 'x', true));
      if (x < left || x > left + width) continue;
      const pen = plot.ctx;
      pen.save();
      pen.strokeStyle = pen.fillStyle = colour;
      pen.setLineDash([5, 5]);
      pen.beginPath();
      pen.moveTo(x, top);
      pen.lineTo(x, top + height);
      pen.stroke();
      pen.beginPath();
      pen.moveTo(x - 6, top + height + 7);
      pen.lineTo(x + 6, top + height + 7);
      pen.lineTo(x, top + height);
      pen.fill();
      pen.restore();
    }
  });
  return null;
}

function Rows({ panel, frames, width, height }: Drawing) {
  return (
    <TableNG
      data={frames[0]} width={width} height={height} initialSortBy={panel.options.sortBy} enableSharedCrosshair={false}
      ariaLabel={panel.title} showTypeIcons={false} timeRange={undefined}
    />
  );
}

export const KINDS: Record<string, (drawing: Drawing) => React.JSX.Element> = {
  stat: Stat, bargauge: Bars, timeseries: Lines, table: Rows,
};

export function range(from: number, to: number): TimeRange {
  const [begin, end] = [dateTime(from * 1000), dateTime(to * 1000)];
  return { from: begin, to: end, raw: { from: begin, to: end } };
}
