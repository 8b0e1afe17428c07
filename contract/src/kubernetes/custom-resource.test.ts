import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import type { CustomResource, JsonSchema } from './custom-resource.ts';
import { createCustomResourceManifest } from './custom-resource.ts';
import { ownManifests, snapshotManifests } from './resource-catalogue.ts';
import { structuralProblems } from './structural-schema.ts';

const manifests = [...ownManifests(), ...snapshotManifests()];

function schemaOf(manifest: (typeof manifests)[number]): JsonSchema {
  const [version] = manifest.spec.versions;
  return (version!['schema'] as { openAPIV3Schema: JsonSchema }).openAPIV3Schema;
}

function at(schema: JsonSchema, path: string): JsonSchema {
  return path
    .split('.')
    .reduce((node, name) => (node['properties'] as Record<string, JsonSchema>)[name]!, schema);
}

const example: CustomResource = {
  group: 'example.dev',
  version: 'v1',
  scope: 'Cluster',
  names: { kind: 'Thing', plural: 'things', singular: 'thing' },
  description: 'A thing.',
  shape: { spec: z.object({ a: z.string() }) },
  hasStatus: false,
  columns: [],
  revision: 3,
};

describe.each(manifests.map((manifest) => [manifest.metadata.name, manifest] as const))(
  '%s',
  (_name, manifest) => {
    test('has a structural schema', () => {
      expect(structuralProblems(schemaOf(manifest))).toEqual([]);
    });

    test('gives every field of the spec and status a description or an obvious name', () => {
      const { properties } = schemaOf(manifest) as { properties: Record<string, JsonSchema> };
      for (const section of ['spec', 'status']) {
        if (properties[section] !== undefined)
          expect(properties[section]['description']).toBeTruthy();
      }
    });

    test('carries the label by which the operator knows its own', () => {
      expect(manifest.metadata.labels['app.kubernetes.io/managed-by']).toBe('varve-operator');
    });

    test('has columns that lead somewhere in the schema', () => {
      const columns = manifest.spec.versions[0]?.['additionalPrinterColumns'] as {
        jsonPath: string;
      }[];
      for (const { jsonPath } of columns) {
        if (jsonPath.startsWith('.metadata.')) continue;
        const path = jsonPath.slice(1).replace(/\[.*$/, '');
        expect([jsonPath, at(schemaOf(manifest), path)]).toEqual([jsonPath, expect.anything()]);
      }
    });
  },
);

describe('snapshot definitions', () => {
  test('are three, in a group that needs an approval annotation', () => {
    expect(snapshotManifests().map((manifest) => manifest.metadata.name)).toEqual([
      'volumesnapshotclasses.snapshot.storage.k8s.io',
      'volumesnapshotcontents.snapshot.storage.k8s.io',
      'volumesnapshots.snapshot.storage.k8s.io',
    ]);
    for (const { metadata } of snapshotManifests()) {
      expect(metadata.annotations['api-approved.kubernetes.io']).toMatch(/^unapproved/);
    }
  });

  test('leave room for nanoseconds beyond what JavaScript counts exactly', () => {
    const [, content] = snapshotManifests();
    const creationTime = at(schemaOf(content!), 'status.creationTime');
    expect(creationTime).toMatchObject({ type: 'integer', format: 'int64' });
    expect(creationTime).not.toHaveProperty('maximum');
  });

  test('have conditions as a list-map by type', () => {
    for (const manifest of snapshotManifests().slice(1)) {
      expect(at(schemaOf(manifest), 'status.conditions')).toMatchObject({
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['type'],
      });
    }
  });

  test('say which source is meant, once, for ever', () => {
    const [, content, snapshot] = snapshotManifests();
    const rules = (schema: JsonSchema): string[] =>
      (schema['x-kubernetes-validations'] as { rule: string }[]).map(({ rule }) => rule);
    expect(rules(at(schemaOf(snapshot!), 'spec.source'))).toEqual([
      '!has(oldSelf.persistentVolumeClaimName) || has(self.persistentVolumeClaimName)',
      '!has(oldSelf.volumeSnapshotContentName) || has(self.volumeSnapshotContentName)',
      'has(self.volumeSnapshotContentName) != has(self.persistentVolumeClaimName)',
    ]);
    expect(rules(at(schemaOf(content!), 'spec.volumeSnapshotRef'))).toEqual([
      'has(self.name) && has(self.__namespace__)',
    ]);
  });
});

describe('createCustomResourceManifest()', () => {
  test('names the definition by plural and group and keeps the revision', () => {
    const { metadata } = createCustomResourceManifest(example);
    expect(metadata.name).toBe('things.example.dev');
    expect(metadata.annotations['varve.dev/definition-revision']).toBe('3');
  });

  test('changes the hash with the schema only', () => {
    const hashOf = (resource: CustomResource): string | undefined =>
      createCustomResourceManifest(resource).metadata.annotations['varve.dev/definition-hash'];
    expect(hashOf({ ...example })).toBe(hashOf(example));
    expect(hashOf({ ...example, revision: 4 })).toBe(hashOf(example));
    expect(hashOf({ ...example, shape: { spec: z.object({ b: z.string() }) } })).not.toBe(
      hashOf(example),
    );
  });

  test.each([
    ['a value of any type', z.any()],
    ['a union of objects', z.union([z.object({ a: z.string() }), z.object({ b: z.string() })])],
    ['an object that refuses unknown fields', z.strictObject({ a: z.string() })],
    ['a tuple', z.tuple([z.string(), z.int()])],
  ])('%s is found by the linter', (_what, schema) => {
    const manifest = createCustomResourceManifest({ ...example, shape: { spec: schema } });
    expect(structuralProblems(schemaOf(manifest))).not.toEqual([]);
  });
});

describe('structuralProblems()', () => {
  test.each([
    ['a list-map without keys', { 'x-kubernetes-list-type': 'map' }],
    [
      'a list-map with an optional key',
      { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['b'] },
    ],
  ])('%s is refused', (_what, extra) => {
    const items = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] };
    expect(structuralProblems({ type: 'array', items, ...extra })).toHaveLength(1);
  });

  test('a required field that is no property is refused', () => {
    expect(structuralProblems({ type: 'object', properties: {}, required: ['a'] })).toEqual([
      '.: required a is no property',
    ]);
  });
});
