/** A full pool says so, loses nothing, and takes deletes. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { NodeIo } from '../../store/store-api.ts';
import { TestControl } from '../../testing/test-control.ts';

const mebibyte = 1024 * 1024;
const blocksPerWrite = 256;

let control: TestControl;

beforeEach(async () => {
  control = new TestControl();
  await control.createPool('pool-1');
  await control.createVolume('a', { sizeBytes: 1024 * mebibyte });
});

afterEach(async () => {
  await control.end();
});

function write(io: NodeIo, lbn: number): Promise<string | undefined> {
  const bytes = new Uint8Array(blocksPerWrite * 4096).fill(1 + (lbn % 251));
  return new Promise((resolve) => {
    io.write(lbn, bytes, false, (error) => resolve(error?.kind));
  });
}

/** Writes until the pool takes no more; answers the blocks written. */
async function fill(volume: string): Promise<number> {
  const { store, summary } = control.pools.requireNode({ kind: 'volume', name: volume }, 'Filling');
  const io = store.openIo(summary);
  for (let lbn = 0; ; lbn += blocksPerWrite) {
    const failure = await write(io, lbn);
    if (failure === undefined) continue;
    expect(failure).toBe('insufficient-space');
    await io.close();
    return lbn;
  }
}

describe('a full pool', () => {
  test('refuses snapshots and volumes with insufficient-space, and takes deletes', async () => {
    await control.operations.putSnapshot({ id: 'early', body: { volume: 'a', labels: {} } });
    const blocks = await fill('a');
    expect(blocks).toBeGreaterThan(100 * blocksPerWrite);
    const [full] = await control.operations.listPools(undefined);
    expect(full!.freeBytes).toBeLessThan(full!.reservedBytes + 2 * mebibyte);
    // Whatever is still taken is taken wholly, whatever is refused is refused for the lack of space.
    const outcomes: unknown[] = [];
    for (let count = 0; count < 200; count++) {
      const id = `late-${count}`;
      const made = control.operations.putSnapshot({ id, body: { volume: 'a', labels: {} } });
      outcomes.push(
        await made.then(
          () => 'made',
          (error: { kind: string }) => error.kind,
        ),
      );
    }
    expect(new Set(outcomes)).not.toContain('internal');
    for (const outcome of outcomes) expect(['made', 'insufficient-space']).toContain(outcome);
    for (const { summary } of control.pools.list('snapshot')) {
      await control.operations.deleteSnapshot({ id: summary.name });
    }
    await control.operations.deleteVolume({ id: 'a' });
    await control.pools.serving[0]!.store.drainBackgroundWork();
    const [empty] = await control.operations.listPools(undefined);
    expect(empty).toMatchObject({ referencedBytes: 0, pendingFreeBytes: 0, volumes: 0 });
    await control.createVolume('b');
    await control.write('b');
  });
});
