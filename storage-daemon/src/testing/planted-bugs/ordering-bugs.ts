/** Breaks of the ordering rules R1 to R11 (what may be reused, overwritten or acknowledged when). */
import type { PlantedBug } from './planted-bug.ts';

/** One entry per way of breaking a rule. */
export const orderingBugs: readonly PlantedBug[] = [
  {
    name: 'R1: a journal block does not wait for the data that its records map (no flush before it)',
    file: 'journal/journal-writer.ts',
    find: 'if (this.#device.hasVolatileCache) this.#flush(markReady);',
    replace: 'if (this.#device.hasVolatileCache && this.#isStopped) this.#flush(markReady);',
    profile: 'durability',
    seedsMax: 400,
  },
  {
    name: 'R1: a write is mapped when its data is submitted, not when it has arrived',
    file: 'store/io/write-operation.ts',
    find: `        if (--left === 0) this.#finishPass(pass, failure);
      });
    }`,
    replace: `      });
    }
    queueMicrotask(() => this.#finishPass(pass, null));`,
    profile: 'usual',
    seedsMax: 400,
  },
  {
    name: 'R1: a block that goes the short way to a fresh place is mapped before its data has arrived',
    file: 'store/io/fresh-block-io.ts',
    find: 'cell.devices.writeCounted(reserved.pbn, source, request.complete);',
    replace: `cell.devices.writeCounted(reserved.pbn, source, () => {});
    queueMicrotask(() => request.complete(null));`,
    profile: 'usual',
    seedsMax: 40,
  },
  {
    name: 'R10: two writes to a cluster change its entry at the same time',
    file: 'store/io/fresh-block-io.ts',
    find: 'if (node.locks.isLocked(cluster) || cell.isRingFull',
    replace: 'if (cell.isRingFull',
    profile: 'usual',
    seedsMax: 40,
  },
  {
    name: 'R2: a freed data block is reused before the record that freed it is durable',
    file: 'allocator/quarantine.ts',
    find: 'block.record <= durableRecord && hasEnded(block)',
    replace: 'durableRecord >= 0 && hasEnded(block)',
    profile: 'reuse',
    seedsMax: 800,
  },
  {
    name: 'R3: a page of the last root is reused before the next root is durable',
    file: 'allocator/quarantine.ts',
    find: 'block.checkpoint <= durableCheckpoint && hasEnded(block)',
    replace: 'durableCheckpoint >= 0 && hasEnded(block)',
    profile: 'reuse',
    seedsMax: 400,
  },
  {
    name: 'R5: a snapshot is acknowledged without waiting for writes in place under way',
    file: 'store/cell.ts',
    find: 'this.inPlaceTracker.whenEnded(mark, () => {',
    replace: 'queueMicrotask(() => {',
    profile: 'usual',
    seedsMax: 400,
  },
  {
    name: 'R5: no device flush after the writes in place that a snapshot waited for',
    file: 'store/cell.ts',
    find: 'if (!hadWrites || !this.devices.hasVolatileCache) done(null);',
    replace: 'if (!hadWrites || this.devices.hasVolatileCache) done(null);',
    profile: 'cuts',
    seedsMax: 800,
  },
  {
    name: 'R6: writes in place use a lowered bound before the record that lowers it is durable',
    file: 'store/tree-node.ts',
    find: 'bound = Math.max(bound, epoch);',
    replace: 'bound = Math.min(bound, epoch);',
    profile: 'family',
    seedsMax: 800,
  },
  {
    name: 'R6: a merge does not remember the former bound',
    file: 'store/cell-state.ts',
    find: 'child.formerBounds.push({ epoch: node.epoch, record: this.recordNumber }); // R6',
    replace: '',
    profile: 'cuts',
    seedsMax: 400,
  },
  {
    name: 'R7: an allocation group is used without a record that says whose it is',
    file: 'store/cell.ts',
    find: "takeGroup: (group) => this.record([{ op: 'groupGet', group }]), // R7",
    replace: `takeGroup: (group) => {
        this.state.apply({ op: 'groupGet', group });
        this.state.recordNumber--;
      },`,
    profile: 'reuse',
    seedsMax: 800,
  },
  {
    name: 'R7: a group is given back at once, while the last root lists it',
    file: 'store/cell.ts',
    find: "returnGroup: (group) => this.record([{ op: 'groupPut', group }]),",
    replace: `returnGroup: (group) => {
        this.record([{ op: 'groupPut', group }]);
        this.state.releaseGroups(Infinity);
      },`,
    profile: 'reactors',
    seedsMax: 200,
  },
  {
    name: 'R7: another cell takes a group before the root without it is durable',
    file: 'store/cell.ts',
    find: 'this.state.releaseGroups(this.#durableCheckpoint); // R7',
    replace: 'this.state.releaseGroups(this.state.checkpointNumber);',
    profile: 'reactors',
    seedsMax: 200,
  },
  {
    name: 'R8: the root is written without a flush of its pages',
    file: 'store/checkpoint/checkpointer.ts',
    find: 'if (this.#devices.hasVolatileCache) await this.#flush(); // R8',
    replace: '',
    profile: 'checkpoints',
    seedsMax: 400,
  },
  {
    name: 'R8: the root is written beside its pages, not after them',
    file: 'store/checkpoint/checkpointer.ts',
    find: `    await this.#writePages(pages);
    if (this.#devices.hasVolatileCache) await this.#flush(); // R8
    await this.#writeRoot(root);`,
    replace: '    await Promise.all([this.#writePages(pages), this.#writeRoot(root)]);',
    profile: 'checkpoints',
    seedsMax: 400,
  },
  {
    name: 'R9: a new volume is answered before its record is durable',
    file: 'store/pool-store.ts',
    find: "await this.#durable(cell, node.kind === 'snapshot' || node.parent?.name === '');",
    replace: "if (node.kind === 'snapshot') await this.#durable(cell, true);",
    profile: 'usual',
    seedsMax: 400,
  },
  {
    name: 'R9: a reverted volume takes writes before the revert is durable',
    file: 'store/pool-store.ts',
    find: `    await this.#durable(cell);
    this.#names.put(name, { cell, node: head });`,
    replace: '    this.#names.put(name, { cell, node: head });',
    profile: 'family',
    seedsMax: 800,
  },
  {
    name: 'R9: a volume is deleted while clients use it',
    file: 'store/pool-store.ts',
    find: 'if (node.openCount === 0) return;',
    replace: 'if (node.openCount >= 0) return;',
    profile: 'usual',
    seedsMax: 800,
  },
  {
    name: 'R10: a reservation is allocated at once, so that a checkpoint stores it',
    file: 'allocator/group-bitmap.ts',
    find: `    setBit(this.#taken, index);
    this.#takenCount++;`,
    replace: `    setBit(this.#taken, index);
    this.#takenCount++;
    if (!this.isAllocated(index)) {
      setBit(this.#allocated, index);
      this.#allocatedCount++;
      this.isDirty = true;
    }`,
    profile: 'checkpoints',
    seedsMax: 400,
  },
  {
    name: 'R11: a freed block is reused while I/O that began before is under way',
    file: 'allocator/quarantine.ts',
    find: 'this.#tracker.hasEnded(ioMark); // R11',
    replace: 'this.#tracker !== undefined && ioMark >= -1;',
    profile: 'late',
    seedsMax: 400,
  },
  {
    name: 'R11: reads are not counted as I/O under way',
    file: 'store/io/read-operation.ts',
    find: `    const generation = cell.tracker.begin();
    const bytes = target.subarray(start * blockSizeBytes, (start + count) * blockSizeBytes);
    cell.countDataRead(count);
    cell.devices.read(pbn, bytes, (error) => {
      cell.endIo(generation);`,
    replace: `    const bytes = target.subarray(start * blockSizeBytes, (start + count) * blockSizeBytes);
    cell.countDataRead(count);
    cell.devices.read(pbn, bytes, (error) => {`,
    profile: 'late',
    seedsMax: 800,
  },
];
