/** Objects for tests. */
import type { JsonObject } from '../objects/json.ts';

/** A claim of 256Mi. */
export function claim(name: string, spec: JsonObject = {}): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '256Mi' } },
      ...spec,
    },
  };
}

/** A configuration map. */
export function configMap(
  name: string,
  data: JsonObject = {},
  metadata: JsonObject = {},
): JsonObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data };
}

/** A CustomResourceDefinition of a namespaced kind `Widget` with a rule of each sort. */
export function widgetDefinition(): JsonObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.dev' },
    spec: {
      group: 'example.dev',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget', shortNames: ['wi'], categories: ['varve'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
            {
              name: 'Ready',
              type: 'string',
              jsonPath: '.status.conditions[?(@.type=="Ready")].status',
            },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
          schema: { openAPIV3Schema: widgetSchema },
        },
      ],
    },
  };
}

const widgetSchema = {
  type: 'object',
  required: ['spec'],
  properties: {
    spec: {
      type: 'object',
      required: ['source'],
      properties: {
        size: { type: 'integer', format: 'int64', minimum: 1, default: 3 },
        mode: { type: 'string', enum: ['Fast', 'Safe'] },
        source: { type: 'string', minLength: 1 },
        amount: { 'x-kubernetes-int-or-string': true },
      },
      'x-kubernetes-validations': [
        { rule: 'self.source == oldSelf.source', message: 'source is immutable' },
        {
          rule: '!has(self.mode) || self.mode != "Safe" || self.size < 10',
          message: 'a safe widget is smaller than 10',
        },
      ],
    },
    status: {
      type: 'object',
      properties: {
        creationTime: { type: 'integer', format: 'int64' },
        conditions: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['type'],
          items: {
            type: 'object',
            required: ['type', 'status'],
            properties: { type: { type: 'string' }, status: { type: 'string' } },
          },
        },
      },
    },
  },
};

/** A Widget. */
export function widget(name: string, spec: JsonObject = {}): JsonObject {
  return {
    apiVersion: 'example.dev/v1',
    kind: 'Widget',
    metadata: { name },
    spec: { source: 'here', ...spec },
  };
}
