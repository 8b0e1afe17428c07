import { describe, expect, test } from '@jest/globals';
import { changedConditions, withoutCondition } from './condition-list.ts';

const waiting = { type: 'Ready', status: 'False', reason: 'Waiting', message: 'w' } as const;
const early = { nowMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678), generation: 1 };
const late = { nowMs: Date.UTC(2026, 0, 2, 4, 0, 0), generation: 1 };

describe('changedConditions()', () => {
  test('has nothing to write when all is said already, whatever the time', () => {
    const list = changedConditions(undefined, waiting, early);
    expect(list).toHaveLength(1);
    expect(changedConditions(list, waiting, late)).toBeUndefined();
  });

  test('gives the whole list when the reason, the status or the generation changes', () => {
    const list = changedConditions(undefined, waiting, early);
    const reason = changedConditions(list, { ...waiting, reason: 'Other' }, late);
    expect(reason).toMatchObject([{ reason: 'Other', lastTransitionTime: '2026-01-02T03:04:05Z' }]);
    const status = changedConditions(list, { ...waiting, status: 'True' }, late);
    expect(status).toMatchObject([{ status: 'True', lastTransitionTime: '2026-01-02T04:00:00Z' }]);
    const generation = changedConditions(list, waiting, { ...late, generation: 2 });
    expect(generation).toMatchObject([{ observedGeneration: 2 }]);
  });
});

describe('withoutCondition()', () => {
  test('drops one type, and has nothing to write when there is none', () => {
    const list = changedConditions([], waiting, early);
    expect(withoutCondition(list, 'Ready')).toEqual([]);
    expect(withoutCondition(list, 'Deletable')).toBeUndefined();
    expect(withoutCondition(undefined, 'Ready')).toBeUndefined();
  });
});
