import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { historyChangesMax, logChangesMax } from '../limits.ts';
import type { ApiObject } from '../objects/api-object.ts';
import { ObjectStore } from './object-store.ts';
import { StateLog } from './state-log.ts';

function object(name: string, n = 0): ApiObject {
  const metadata = { name, uid: name, resourceVersion: '', creationTimestamp: '' };
  return { apiVersion: 'v1', kind: 'Thing', metadata, n };
}

function names(objects: readonly ApiObject[]): string[] {
  return objects.map((each) => each.metadata.name);
}

test('listAt() shows the past, whatever was made, changed and removed since', () => {
  const store = new ObjectStore();
  store.put('things', object('a', 1));
  const b = store.put('things', object('b', 1));
  const past = store.revision;
  store.put('things', object('a', 2));
  store.remove('things', b);
  store.put('things', object('c', 1));
  store.put('others', object('z'));
  expect(names(store.list('things'))).toEqual(['a', 'c']);
  const then = store.listAt('things', past);
  expect(names(then)).toEqual(['a', 'b']);
  expect(then[0]?.['n']).toBe(1);
});

test('the history is bounded, and what lies before it is 410', () => {
  const store = new ObjectStore();
  store.put('things', object('first'));
  const { revision } = store;
  for (let count = 0; count <= historyChangesMax; count++) store.put('things', object('a', count));
  expect(() => store.changesSince('things', revision)).toThrow('too old resource version');
  expect(store.changesSince('things', store.revision - 1)).toHaveLength(1);
});

test('a long log is folded into a snapshot that a new store begins with', () => {
  const directory = mkdtempSync(join(tmpdir(), 'varve-log-'));
  try {
    const store = new ObjectStore(new StateLog(directory));
    for (let count = 0; count <= logChangesMax; count++) {
      store.put('things', object(`a-${count % 10}`, count));
    }
    const { revision } = store;
    store.close();
    expect(readdirSync(directory).filter((name) => name.startsWith('changes-'))).toHaveLength(1);
    const again = new ObjectStore(new StateLog(directory));
    expect(again.revision).toBe(revision);
    expect(again.list('things')).toEqual(store.list('things'));
    expect(() => again.changesSince('things', 1)).toThrow('too old resource version');
    again.close();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
