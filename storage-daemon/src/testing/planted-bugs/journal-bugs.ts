/** Breaks of the rules of journal, checkpoint and recovery, J1 to J12. */
import type { PlantedBug } from './planted-bug.ts';

/** One entry per way of breaking a rule. */
export const journalBugs: readonly PlantedBug[] = [
  {
    name: 'J1: other blocks are written before the fence is durable',
    file: 'store/cell-recovery.ts',
    find: 'await this.#writeFixed(`Writing the fence of cell ${cell}`, block, page);',
    replace: 'void this.#writeFixed(`Writing the fence of cell ${cell}`, block, page);',
    profile: 'loops',
    seedsMax: 400,
  },
  {
    name: 'J2: recovery fences even when the ring is full',
    file: 'store/cell-recovery.ts',
    find: 'if (ringBlocks - used < fenceSlots + 1)',
    replace: 'if (ringBlocks - used < 0)',
    profile: 'loops',
    seedsMax: 400,
  },
  {
    name: 'J3: an opening later than the last root makes the root look old',
    file: 'store/cell-recovery.ts',
    find: 'if (found.rootGeneration > root.rootGeneration) {',
    replace: 'if (found.openGeneration > root.openGeneration) {',
    profile: 'usual',
    seedsMax: 300,
  },
  {
    name: 'J4: the first block to replay need not follow the block before it',
    file: 'journal/journal-scan.ts',
    find: 'if (block?.sequence !== sequence || block.prevCrc !== prevCrc) break;',
    replace:
      'if (block?.sequence !== sequence || (chain.length > 0 && block.prevCrc !== prevCrc)) break;',
    profile: 'loops',
    seedsMax: 800,
  },
  {
    name: 'J4: checksums of blocks are not bound to pool and cell, so a former life replays',
    file: 'format/journal-block.ts',
    find: 'return crc32c(new Uint8Array([cell & 0xff, cell >>> 8]), crc32c(poolUuid));',
    replace: 'return crc32c(new Uint8Array([cell & 0, cell & 0, poolUuid.length]));',
    profile: 'loops',
    seedsMax: 800,
  },
  {
    name: 'J5: recovery reads what may still be lost',
    file: 'store/open-store.ts',
    find: 'if (pool.hasVolatileCache && options.readOnly !== true) await flush(pool);',
    replace: 'if (pool.hasVolatileCache && options.readOnly === true) await flush(pool);',
    profile: 'loops',
    seedsMax: 800,
  },
  {
    name: 'J6: a ring slot is written again while a write to it is under way',
    file: 'journal/journal-writer.ts',
    find: 'if (this.#busySlots.has(slot)) continue; // J6',
    replace: '',
    profile: 'ring',
    seedsMax: 1000,
  },
  {
    name: 'J7: a flush joins a group whose device flush is under way',
    file: 'journal/journal-writer.ts',
    find: '    this.#forming ??= { waiters: [], targetRecord: 0, isFlushed: false };',
    replace: `    const joined = this.#groups.at(-1);
    if (joined && !joined.isFlushed && !this.#openPage) {
      joined.waiters.push(done);
      return;
    }
    this.#forming ??= { waiters: [], targetRecord: 0, isFlushed: false };`,
    profile: 'joins',
    seedsMax: 800,
  },
  {
    name: 'J8: the cut leaves the current block open',
    file: 'journal/journal-writer.ts',
    find: `  cut(): JournalStart {
    if (this.#openPage) this.#seal();`,
    replace: '  cut(): JournalStart {',
    profile: 'checkpoints',
    seedsMax: 400,
  },
  {
    name: 'J8: a durable root does not make its records durable',
    file: 'journal/journal-writer.ts',
    find: 'this.#durableRecord = Math.max(this.#durableRecord, root.cutRecord);',
    replace: '',
    profile: 'checkpoints',
    seedsMax: 400,
  },
  {
    name: 'J8: the root is written without FUA',
    file: 'store/pool-devices.ts',
    find: '    const fua = device!.hasVolatileCache;',
    replace: '    const fua = block >= 1024 && device!.hasVolatileCache;',
    profile: 'checkpoints',
    seedsMax: 400,
  },
  {
    name: 'J8: journal blocks are written without FUA',
    file: 'store/pool-devices.ts',
    find: '    const fua = device!.hasVolatileCache;',
    replace: '    const fua = block < 1024 && device!.hasVolatileCache;',
    profile: 'durability',
    seedsMax: 400,
  },
  {
    name: 'J8: old pages are released when the checkpoint is cut',
    file: 'store/cell.ts',
    find: '      this.#recordAtCut = this.state.recordNumber;',
    replace: `      this.#recordAtCut = this.state.recordNumber;
      this.#durableCheckpoint = this.state.checkpointNumber + 1;
      queueMicrotask(() => this.#releaseQuarantine());`,
    profile: 'reuse',
    seedsMax: 400,
  },
  {
    name: 'J9: a freed block keeps its bit until it may be used again',
    file: 'allocator/cell-allocator.ts',
    find: `    this.#bitmapOf(pbn).free(pbn % this.groupBlocks);
    this.#allocatedCount--;
    if (freed.isMeta) this.#metadataCount--;
    this.quarantine.add({ pbn, ...freed });
  }

  /** Makes available what the quarantine no longer needs to hold; returns how much. */
  releaseQuarantine(durability: Durability): number {
    const released = this.quarantine.release(durability);
    const available = this.deallocation?.accept(released) ?? released; // R4
    for (const pbn of available) this.#giveBack(pbn);`,
    replace: `    if (freed.isMeta) this.#metadataCount--;
    this.quarantine.add({ pbn, ...freed });
  }

  releaseQuarantine(durability: Durability): number {
    const released = this.quarantine.release(durability);
    for (const pbn of released) {
      this.#bitmapOf(pbn).free(pbn % this.groupBlocks);
      this.#allocatedCount--;
      this.#giveBack(pbn);
    }`,
    profile: 'checkpoints',
    seedsMax: 400,
  },
  {
    name: 'J10: pages of a checkpoint are counted on groups that nobody has taken before its cut',
    file: 'store/cell-space.ts',
    find: '      if (!this.#takeAny()) return false;',
    replace: `      if (wanted === 0 || this.#owners.unownedCount > 0) return true;
      if (!this.#takeAny()) return false;`,
    profile: 'usual',
    seedsMax: 400,
  },
  {
    name: 'J11: a dead-list entry of a dirty page names the block of the older page',
    file: 'store/cell-state.ts',
    find: 'const named = frame.isDirty ? frame : undefined;',
    replace: 'const named = frame.isDirty ? undefined : undefined;',
    profile: 'family',
    seedsMax: 400,
  },
  {
    name: 'J11: records are applied between the cut of the journal and the cut of the pages',
    file: 'store/checkpoint/checkpointer.ts',
    find: '    const cutRecord = this.#state.recordNumber;',
    replace: `    const cutRecord = this.#state.recordNumber;
    if (this.#devices.hasVolatileCache) await this.#flush();`,
    profile: 'checkpoints',
    seedsMax: 400,
  },
  {
    name: 'J12: a record set may be cut by the end of a block',
    file: 'store/pool-store.ts',
    find: `    cell.record(records);
    return cell.state.nodeOf(node!);`,
    replace: `    for (const record of records) cell.record([record]);
    return cell.state.nodeOf(node!);`,
    profile: 'sets',
    seedsMax: 1000,
  },
  {
    name: 'replay swaps the order of records in a block',
    file: 'store/cell-recovery.ts',
    find: '    for (const record of records) {',
    replace: '    for (const record of records.toReversed()) {',
    profile: 'usual',
    seedsMax: 300,
  },
  {
    name: 'replay swaps the order of blocks',
    file: 'store/cell-recovery.ts',
    find: 'for (const records of blocks) {',
    replace: 'for (const records of blocks.toReversed()) {',
    profile: 'usual',
    seedsMax: 300,
  },
  {
    name: 'replay ignores whether a block follows the one before it',
    file: 'journal/journal-scan.ts',
    find: 'if (block?.sequence !== sequence || block.prevCrc !== prevCrc) break;',
    replace: 'if (block?.sequence !== sequence || block.prevCrc === -1) break;',
    profile: 'loops',
    seedsMax: 400,
  },
  {
    name: 'a torn journal block is taken for a whole one (missing checksum check)',
    file: 'format/journal-block.ts',
    find: 'crc === crc32cWithout(page, crcOffset, seed),',
    replace: 'crc32cWithout(page, crcOffset, seed) >= 0,',
    profile: 'tears',
    seedsMax: 400,
  },
  {
    name: 'blocks become durable out of order',
    file: 'journal/journal-writer.ts',
    find: `      if (block.state !== 'written') break;
      this.#durableSequence`,
    replace: `      if (block.state !== 'written') continue;
      this.#durableSequence`,
    profile: 'durability',
    seedsMax: 400,
  },
  {
    name: 'recovery takes the oldest root',
    file: 'store/cell-recovery.ts',
    find: 'copies.toSorted((a, b) => b.root.rootGeneration - a.root.rootGeneration)',
    replace: 'copies.toSorted((a, b) => a.root.rootGeneration - b.root.rootGeneration)',
    profile: 'usual',
    seedsMax: 300,
  },
  {
    name: 'a bitmap is written over the one of the last root',
    file: 'store/checkpoint/checkpoint-image.ts',
    find: 'bitmap.slotGeneration++;',
    replace: 'bitmap.slotGeneration += 2;',
    profile: 'checkpoints',
    seedsMax: 400,
  },
  {
    name: 'a root is written over the last one',
    file: 'format/pool-layout.ts',
    find: 'return rootsBlock + copyNumber * mebibyteBlocks + cell * 2 + (generation % 2);',
    replace: 'return rootsBlock + copyNumber * mebibyteBlocks + cell * 2 + 0 * generation;',
    profile: 'tears',
    seedsMax: 1000,
  },
];
