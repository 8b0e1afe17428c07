import { beforeEach, describe, expect, test } from '@jest/globals';
import { things } from '../../testing/machinery.ts';
import { thing } from '../../testing/scripted-api-server.ts';
import type { KubernetesObject } from '../kubernetes-object.ts';
import { objectIndex } from '../reconciler.ts';
import { ObjectStore } from './object-store.ts';

const byColour = objectIndex(
  'colour',
  things,
  (object) => (object as unknown as { colours?: string[] }).colours ?? [],
);

let store: ObjectStore<KubernetesObject>;
let changes: string[];

function versionsOf(objects: readonly KubernetesObject[]): string[] {
  return objects.map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`);
}

beforeEach(() => {
  store = new ObjectStore();
  changes = [];
  store.addListener(({ type, object, previous }) => {
    const before = previous === undefined ? '' : ` was ${previous.metadata.resourceVersion}`;
    changes.push(`${type} ${object.metadata.name}@${object.metadata.resourceVersion}${before}`);
  });
});

describe('ObjectStore', () => {
  test('tells listeners of additions, changes and deletions', () => {
    store.replaceAll([thing('a', 1), thing('b', 2)], '2');
    store.upsert(thing('a', 3));
    store.remove(thing('b', 4));
    expect(changes).toEqual(['added a@1', 'added b@2', 'modified a@3 was 1', 'deleted b@4 was 2']);
  });

  test('a new list deletes what is not in it any more', () => {
    store.replaceAll([thing('a', 1), thing('b', 2)], '2');
    store.replaceAll([thing('b', 2)], '9');
    expect(versionsOf(store.list())).toEqual(['b@2']);
    expect(changes).toContain('deleted a@1 was 1');
  });

  test('finds objects by namespace and by index, also after they moved', () => {
    store.addIndex(byColour);
    store.upsert(thing('a', 1, { namespace: 'x', colours: ['red', 'blue'] }));
    store.upsert(thing('b', 2, { namespace: 'y', colours: ['blue'] }));
    expect(versionsOf(store.byIndex(byColour, 'blue'))).toEqual(['a@1', 'b@2']);
    store.upsert(thing('a', 3, { namespace: 'x', colours: ['green'] }));
    expect(versionsOf(store.byIndex(byColour, 'red'))).toEqual([]);
    expect(versionsOf(store.byIndex(byColour, 'green'))).toEqual(['a@3']);
    expect(versionsOf(store.list('x'))).toEqual(['a@3']);
    store.remove(thing('b', 4, { namespace: 'y' }));
    expect(versionsOf(store.byIndex(byColour, 'blue'))).toEqual([]);
    expect(store.list('y')).toEqual([]);
    expect(store.get('x/a')?.metadata.resourceVersion).toBe('3');
  });

  test('indexes objects that were there before the index', () => {
    store.upsert(thing('a', 1, { colours: ['red'] }));
    store.addIndex(byColour);
    expect(versionsOf(store.byIndex(byColour, 'red'))).toEqual(['a@1']);
  });

  test('refuses to be asked with an index that nobody registered', () => {
    expect(() => store.byIndex(byColour, 'red')).toThrow('index colour is not registered');
  });
});

describe('ObjectStore.observeWrite()', () => {
  test('shows our own write before the watch tells of it, and wakes nobody', () => {
    store.replaceAll([thing('a', 1)], '1');
    changes.length = 0;
    store.observeWrite(thing('a', 5));
    store.observeWrite(thing('new', 6));
    expect(versionsOf(store.list())).toEqual(['a@5', 'new@6']);
    expect(changes).toEqual([]);
  });

  test('listeners still hear of the change when the watch tells, with what they knew before', () => {
    store.replaceAll([thing('a', 1)], '1');
    changes.length = 0;
    store.observeWrite(thing('a', 5));
    store.observeWrite(thing('new', 6));
    store.upsert(thing('a', 5));
    store.upsert(thing('new', 6));
    expect(changes).toEqual(['modified a@5 was 1', 'added new@6']);
  });

  test('an older event does not undo our own write', () => {
    store.replaceAll([thing('a', 1)], '1');
    store.observeWrite(thing('a', 5));
    store.upsert(thing('a', 3));
    expect(versionsOf(store.list())).toEqual(['a@5']);
    // Announced all the same: somebody else's change may concern others.
    expect(changes.at(-1)).toBe('modified a@5 was 1');
  });

  test('a late answer does not bring back what the watch saw deleted', () => {
    store.replaceAll([thing('a', 1)], '1');
    store.upsert(thing('a', 5));
    store.remove(thing('a', 6));
    store.observeWrite(thing('a', 4));
    store.observeWrite(thing('a', 5));
    expect(store.list()).toEqual([]);
  });

  test('a deletion event of the object before does not hit its successor of the same name', () => {
    store.replaceAll([thing('a', 1, { uid: 'old' })], '1');
    store.observeWrite(thing('a', 8, { uid: 'new' }));
    store.remove(thing('a', 7, { uid: 'old' }));
    expect(store.get('a')?.metadata.uid).toBe('new');
  });

  test('a list from before our own creation does not delete it', () => {
    store.replaceAll([], '3');
    store.observeWrite(thing('a', 5));
    store.replaceAll([], '4');
    expect(versionsOf(store.list())).toEqual(['a@5']);
    store.replaceAll([], '6');
    expect(store.list()).toEqual([]);
  });

  test('an older answer never replaces a newer copy', () => {
    store.replaceAll([thing('a', 9)], '9');
    store.observeWrite(thing('a', 7));
    expect(versionsOf(store.list())).toEqual(['a@9']);
  });

  test('versions that are no numbers: the watch alone counts', () => {
    store.replaceAll([thing('a', 'x1')], 'x1');
    store.observeWrite(thing('a', 'x2'));
    expect(versionsOf(store.list())).toEqual(['a@x1']);
    store.upsert(thing('a', 'x2'));
    expect(versionsOf(store.list())).toEqual(['a@x2']);
  });
});
