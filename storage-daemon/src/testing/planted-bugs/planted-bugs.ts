/** All planted bugs: every rule of the design broken on purpose, one at a time. */
import { clusterBugs } from './cluster-bugs.ts';
import { deallocationBugs } from './deallocation-bugs.ts';
import { journalBugs } from './journal-bugs.ts';
import { orderingBugs } from './ordering-bugs.ts';
import { ownershipBugs } from './ownership-bugs.ts';
import type { PlantedBug } from './planted-bug.ts';
import { residencyBugs } from './residency-bugs.ts';
import { serviceBugs } from './service-bugs.ts';

/** In the order of the rules. */
export const plantedBugs: readonly PlantedBug[] = [
  ...orderingBugs,
  ...deallocationBugs,
  ...journalBugs,
  ...ownershipBugs,
  ...serviceBugs,
  ...residencyBugs,
  ...clusterBugs,
];
