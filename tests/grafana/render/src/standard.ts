// What Grafana's application brings with it and its packages do not: which options a field has, and the
// transformations by name.
import {
  FieldConfigOptionsRegistry,
  FieldConfigPropertyItem,
  standardTransformers,
  standardTransformersRegistry,
} from '@grafana/data';

const STANDARD = ['unit', 'decimals', 'min', 'max', 'color', 'thresholds', 'mappings', 'noValue', 'displayName', 'links'];
const CUSTOM = [
  'drawStyle', 'lineWidth', 'lineInterpolation', 'fillOpacity', 'showPoints', 'stacking', 'axisSoftMax',
  'axisBorderShow', 'spanNulls', 'thresholdsStyle', 'cellOptions', 'width',
];

export const DRAWN = {
  drawStyle: 'line', lineWidth: 1, fillOpacity: 0, showPoints: 'never', axisPlacement: 'auto',
  scaleDistribution: { type: 'linear' }, stacking: { mode: 'none' }, lineInterpolation: 'linear',
};

function option(path: string, isCustom: boolean): FieldConfigPropertyItem {
  return {
    id: isCustom ? `custom.${path}` : path, path, isCustom, name: path, settings: {},
    editor: () => null, override: () => null, process: (value: unknown) => value,
    shouldApply: () => true, getItemsCount: () => 0,
  } as unknown as FieldConfigPropertyItem;
}

export const options = new FieldConfigOptionsRegistry(() => [
  ...STANDARD.map((path) => option(path, false)),
  ...CUSTOM.map((path) => option(path, true)),
]);

export function prepare(): void {
  const known = [
    standardTransformers.joinByFieldTransformer,
    standardTransformers.filterFieldsByNameTransformer,
    standardTransformers.filterFieldsTransformer,
    standardTransformers.organizeFieldsTransformer,
    standardTransformers.orderFieldsTransformer,
    standardTransformers.renameFieldsTransformer,
  ];
  standardTransformersRegistry.setInit(() =>
    known.map((transformation) => ({
      id: transformation.id, name: transformation.name, transformation, editor: () => null,
      imageDark: '', imageLight: '',
    }))
  );
}

