// One board, as it looks in Grafana, at /d/NAME: /boards/NAME has it with all variables put in, and a Prometheus is at /api.
// When all is drawn, `window.drawn` says of each panel how many frames it has, or what went wrong.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';
import { DataFrame, ThemeContext, applyFieldOverrides, cacheFieldDisplayNames, createTheme, transformDataFrame } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { Mark, KINDS, range } from './panels';
import { Moment, ask } from './query';
import { DRAWN, options, prepare } from './standard';

const WIDTH = 1440, CELL = 30, GAP = 8, TOP = 64;
const theme = createTheme({ colors: { mode: new URLSearchParams(location.search).get('mode') === 'light' ? 'light' : 'dark' } });
const done: Record<number, number | string> = {};

async function frames(panel: any, moment: Moment): Promise<DataFrame[]> {
  const asked = await Promise.all(panel.targets.map((target: any) => ask(target, moment, panel.targets.length === 1)));
  const found = asked.flat();
  const arranged = panel.transformations?.length ? await lastValueFrom(transformDataFrame(panel.transformations, found)) : found;
  const defaults = { ...panel.fieldConfig.defaults, custom: { ...DRAWN, ...panel.fieldConfig.defaults.custom } };
  const ready = applyFieldOverrides({
    data: arranged, fieldConfig: { ...panel.fieldConfig, defaults }, replaceVariables: (text: string) => text,
    theme, timeZone: 'utc', fieldConfigRegistry: options,
  });
  cacheFieldDisplayNames(ready);
  return ready;
}

function place({ gridPos: { x, y, w, h } }: any) {
  const left = (x * WIDTH) / 24 + GAP, top = TOP + y * (CELL + GAP);
  return { position: 'absolute' as const, left, top, width: (w * WIDTH) / 24 - GAP, height: h * (CELL + GAP) - GAP };
}

function Row({ panel }: { panel: any }) {
  return <h5 style={{ ...place(panel), margin: 0, paddingTop: 8, fontWeight: 500 }}>{panel.title}</h5>;
}

function Panel({ panel, moment, marks }: { panel: any; moment: Moment; marks: Mark[] }) {
  const [found, setFound] = React.useState<DataFrame[] | string>();
  React.useEffect(() => {
    frames(panel, moment).then(setFound, (error) => setFound(String(error)));
  }, []);
  React.useEffect(() => {
    if (found !== undefined) done[panel.id] = typeof found === 'string' ? found : found.length;
  }, [found]);
  const at = place(panel), Kind = KINDS[panel.type];
  const drawing = { panel, marks, theme, range: range(moment.from, moment.to) };
  const hasRows = panel.type === 'table' && Array.isArray(found) && found.some((frame) => frame.length > 0);
  return (
    <div style={at} data-rows={hasRows || undefined}>
      <PanelChrome title={panel.title} width={at.width} height={at.height} padding={panel.type === 'table' ? 'none' : 'md'}>
        {(width: number, height: number) =>
          found === undefined ? <i>…</i>
          : typeof found === 'string' ? <pre>{found}</pre>
          : found.every((frame) => !frame.length) && panel.type !== 'stat' ? <Nothing panel={panel} />
          : <Kind {...drawing} frames={found} width={width} height={height} />
        }
      </PanelChrome>
    </div>
  );
}

function Nothing({ panel }: { panel: any }) {
  const style = { height: '100%', display: 'grid', placeItems: 'center', color: theme.colors.text.secondary };
  return <div style={style}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
}

async function marksOf(board: any, moment: Moment): Promise<Mark[]> {
  const queries = board.annotations?.list ?? [];
  const found = await Promise.all(queries.map(async (query: any) => {
    const target = { expr: query.expr, refId: 'marks', legendFormat: '', instant: false, format: 'time_series' };
    const series = await ask(target, moment, true);
    return series.flatMap((frame) => begins(frame).map((at) => ({ at, colour: theme.visualization.getColorByName(query.iconColor) })));
  }));
  return found.flat();
}

// The first of each run of points, which Grafana draws as one region; what runs from the left edge began earlier.
function begins(frame: DataFrame): number[] {
  const [times, values] = frame.fields.map((field) => field.values);
  return times.filter((_: number, k: number) => k > 0 && values[k] != null && values[k - 1] == null);
}

function Heading({ board }: { board: any }) {
  return (
    <div style={{ position: 'absolute', left: GAP, top: 12, right: GAP }}>
      <h4 style={{ margin: 0 }}>{board.title}</h4>
      <span style={{ color: theme.colors.text.secondary }}>{board.chosen}</span>
    </div>
  );
}

// Grafana's components measure text before they place it: not before the letters are there.
function Lettered({ children }: { children: React.ReactNode }) {
  const [ready, setReady] = React.useState(false);
  React.useEffect(() => {
    Promise.allSettled([400, 500].map((weight) => document.fonts.load(`${weight} 14px Inter`))).then(() => setReady(true));
  }, []);
  return ready ? <>{children}</> : null;
}

async function draw() {
  prepare();
  const { board, moment } = await (await fetch(location.pathname.replace('/d/', '/boards/'))).json();
  const marks = await marksOf(board, moment);
  const bottom = Math.max(...board.panels.map(({ gridPos }: any) => gridPos.y + gridPos.h));
  const size = { width: WIDTH + GAP, height: TOP + bottom * (CELL + GAP) + GAP };
  createRoot(document.getElementById('root')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles hackNoBackdropBlur={true} isExtensionSidebarOpen={false} />
      <div id="board" style={{ position: 'relative', background: theme.colors.background.canvas, ...size }}>
        <Heading board={board} />
        <Lettered>
          {board.panels.map((panel: any) => panel.type === 'row'
            ? <Row key={panel.id} panel={panel} />
            : <Panel key={panel.id} panel={panel} moment={moment} marks={marks} />)}
        </Lettered>
      </div>
    </ThemeContext.Provider>
  );
  const wanted = board.panels.filter((panel: any) => panel.type !== 'row').length;
  Object.assign(window, { size, drawn: () => Object.keys(done).length === wanted && done });
}

draw().catch((error) => Object.assign(window, { drawn: () => ({ 0: String(error) }) }));
