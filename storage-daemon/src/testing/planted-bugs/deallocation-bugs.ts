/** Breaks of R4: what the devices are told to forget, and when. */
import type { PlantedBug } from './planted-bug.ts';

const backgroundWork = 'this.background = new BackgroundWork({ cell: this, environment });';

/** Deallocates blocks when they are freed, besides all that happens to them otherwise. */
const deallocateAtOnce = (condition: string): string => `${backgroundWork}
    const { quarantine } = state.allocator;
    const add = quarantine.add.bind(quarantine);
    quarantine.add = (block) => {
      add(block);
      if (${condition}) devices.deallocate({ pbn: block.pbn, count: 1 }, () => {});
    };`;

/** One entry per way of breaking the rule. */
export const deallocationBugs: readonly PlantedBug[] = [
  {
    name: 'R4: data is deallocated before the record that freed it is durable',
    file: 'store/cell.ts',
    find: backgroundWork,
    replace: deallocateAtOnce('!block.isMeta'),
    profile: 'deallocate',
    seedsMax: 100,
  },
  {
    name: 'R4: a page that the last durable root needs is deallocated',
    file: 'store/cell.ts',
    find: backgroundWork,
    replace: deallocateAtOnce('block.isMeta'),
    profile: 'deallocate',
    seedsMax: 100,
  },
  {
    name: 'R4: a run is deallocated while reads of before are under way',
    file: 'allocator/quarantine.ts',
    find: 'this.#tracker.hasEnded(ioMark); // R11',
    replace: 'this.#tracker !== undefined && ioMark >= -1;',
    profile: 'deallocate',
    seedsMax: 200,
  },
  {
    name: 'R4: a run may be allocated while the device is told of it',
    file: 'store/space/deallocator.ts',
    find: `    this.#devices.deallocate(run, (error) => {
      cell.allocator.endDeallocation(run);`,
    replace: `    cell.allocator.endDeallocation(run);
    this.#devices.deallocate(run, (error) => {`,
    profile: 'deallocate',
    seedsMax: 200,
  },
  {
    name: 'R4: a run that is withdrawn for an allocation is deallocated all the same',
    file: 'allocator/deallocate-queue.ts',
    find: 'return this.#runs.splice(0);',
    replace: 'return [...this.#runs];',
    profile: 'deallocate',
    seedsMax: 200,
  },
];
