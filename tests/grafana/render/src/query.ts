// Asks Prometheus as Grafana's data source would, and shapes the answers alike.
import { DataFrame, FieldType, toDataFrame } from '@grafana/data';

export interface Moment { from: number; to: number; step: number } // seconds since 1970
interface Series { metric: Record<string, string>; value?: [number, string]; values?: Array<[number, string]> }
export interface Target { expr: string; refId: string; legendFormat: string; instant: boolean; format: string }

export async function ask(target: Target, moment: Moment, single: boolean): Promise<DataFrame[]> {
  const parameters = target.instant
    ? { query: target.expr, time: moment.to }
    : { query: target.expr, start: moment.from, end: moment.to, step: moment.step };
  const path = target.instant ? 'query' : 'query_range';
  const body = new URLSearchParams(parameters as unknown as Record<string, string>);
  const answer = await (await fetch(`/api/v1/${path}`, { method: 'POST', body })).json();
  if (answer.status !== 'success') {
    throw new Error(`${target.expr}: ${answer.error}`);
  }
  const series: Series[] = answer.data.result;
  return target.format === 'table'
    ? [tabulated(series, target.refId, single)]
    : series.map((one) => drawn(one, target, moment));
}

function drawn(series: Series, target: Target, moment: Moment): DataFrame {
  const points = series.values ?? [series.value!];
  const found = new Map(points.map(([at, value]) => [Math.round(at * 1000), Number(value)]));
  const times = target.instant ? [...found.keys()] : steps(moment);
  const name = named(target.legendFormat, series.metric);
  return toDataFrame({
    refId: target.refId,
    name,
    fields: [
      { name: 'Time', type: FieldType.time, values: times, config: {} },
      {
        name: 'Value', type: FieldType.number, labels: series.metric,
        values: times.map((at) => found.get(at) ?? null), config: { displayNameFromDS: name },
      },
    ],
  });
}

function steps({ from, to, step }: Moment): number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, k) => Math.round((from + k * step) * 1000));
}

function named(legend: string, labels: Record<string, string>): string {
  return legend === '__auto'
    ? Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(', ')
    : legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '');
}

function tabulated(series: Series[], refId: string, single: boolean): DataFrame {
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].sort();
  return toDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: series.map((one) => one.value![0] * 1000), config: {} },
      ...labels.map((label) => ({
        name: label, type: FieldType.string, values: series.map((one) => one.metric[label] ?? ''), config: {},
      })),
      {
        name: single ? 'Value' : `Value #${refId}`, type: FieldType.number,
        values: series.map((one) => Number(one.value![1])), config: {},
      },
    ],
  });
}
