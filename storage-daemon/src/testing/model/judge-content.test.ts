import { describe, expect, test } from '@jest/globals';

import { blockSizeBytes } from '../../units.ts';
import { encodeBlock } from './block-content.ts';
import { judgeCut, judgeRead, judgeRecovered, type BlockReading } from './judge-content.ts';
import { StoreModel, type ModelNode } from './store-model.ts';

interface Scene {
  readonly model: StoreModel;
  readonly volume: ModelNode;
  readonly snapshot: ModelNode;
}

/** Block 0 was written and answered before block 1 was written; the cut was asked for before both. */
function createScene(): Scene {
  const model = new StoreModel(1);
  const fields = { uuid: new Uint8Array(16), attributes: '{}', sizeBlocks: 2 };
  const volume = model.addNode({ kind: 'volume', name: 'v', ...fields }, {});
  model.applyCreate(volume, undefined);
  const snapshot = model.addNode(
    { kind: 'snapshot', name: 's', ...fields },
    { cut: { source: volume, issuedAt: 1, answeredAt: 10 } },
  );
  const entry = { isDurable: false, isUncertain: false };
  model.register(volume, 0).add({ token: 5, issuedAt: 2, answeredAt: 3, ...entry });
  model.register(volume, 1).add({ token: 6, issuedAt: 4, answeredAt: 5, ...entry });
  return { model, volume, snapshot };
}

function readings(...tokens: readonly number[]): BlockReading[] {
  return tokens.map((token, lbn) => {
    const bytes = new Uint8Array(blockSizeBytes);
    if (token !== 0) encodeBlock({ pool: 1, volume: 1, lbn, token }, bytes);
    return { lbn, bytes };
  });
}

describe('judgeCut()', () => {
  test.each([[[0, 0]], [[5, 0]], [[5, 6]]])('takes %j for a point in time', (tokens) => {
    const { model, snapshot } = createScene();
    expect([...judgeCut(model, snapshot, readings(...tokens))]).toEqual(tokens);
  });

  test('refuses a later write without an earlier one that was answered before it', () => {
    const { model, snapshot } = createScene();
    expect(() => judgeCut(model, snapshot, readings(0, 6))).toThrow('not one point in time');
  });

  test('refuses what was never written there', () => {
    const { model, snapshot } = createScene();
    expect(() => judgeCut(model, snapshot, readings(9, 0))).toThrow('holds 9');
  });
});

describe('judgeRecovered()', () => {
  test('takes unanswered and un-flushed writes or what was there before', () => {
    const { model, volume } = createScene();
    expect([...judgeRecovered(model, volume, readings(0, 6))]).toEqual([0, 6]);
  });

  test('refuses the loss of a durable write', () => {
    const { model, volume } = createScene();
    model.register(volume, 0).add({
      token: 8,
      issuedAt: 20,
      answeredAt: 21,
      isDurable: true,
      isUncertain: false,
    });
    expect(() => judgeRecovered(model, volume, readings(5, 6))).toThrow('holds 5, allowed are 8');
  });
});

describe('judgeRead()', () => {
  test('refuses a read that began after the answer of a write and does not see it', () => {
    const { model, volume } = createScene();
    const [block] = readings(0);
    expect(() => judgeRead(model, volume, block!, 10)).toThrow('holds 0, allowed are 5');
  });

  test('accepts a torn block only of writes that may be there', () => {
    const { model, volume } = createScene();
    const [block] = readings(0);
    const [other] = readings(5);
    block!.bytes.set(other!.bytes.subarray(0, 512));
    expect(judgeRead(model, volume, block!, 2)).toBeGreaterThanOrEqual(2 ** 31);
    expect(() => judgeRead(model, volume, block!, 10)).toThrow('sector 1 holds 0');
  });
});
