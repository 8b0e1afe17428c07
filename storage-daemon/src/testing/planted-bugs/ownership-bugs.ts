/** Breaks of the ownership rule, of dead lists, merges and walks. */
import type { PlantedBug } from './planted-bug.ts';

/** One entry per way of breaking a rule. */
export const ownershipBugs: readonly PlantedBug[] = [
  {
    name: '>= for >: a shared block is overwritten in place',
    file: 'store/io/write-placement.ts',
    find: 'if (pbn !== 0 && birth > bound) own.push(',
    replace: 'if (pbn !== 0 && birth >= bound) own.push(',
    profile: 'usual',
    seedsMax: 300,
  },
  {
    name: '>= for >: a shared natural cluster is overwritten in place',
    file: 'store/io/write-placement.ts',
    find: "if (leaf.leaf.birth[cluster]! <= bound) return 'fresh';",
    replace: "if (leaf.leaf.birth[cluster]! < bound) return 'fresh';",
    profile: 'usual',
    seedsMax: 300,
  },
  {
    name: '>= for >: a shared block that leaves a head is freed',
    file: 'store/cell-state.ts',
    find: 'if (block.birth > node.parentEpoch) {',
    replace: 'if (block.birth >= node.parentEpoch) {',
    profile: 'usual',
    seedsMax: 300,
  },
  {
    name: '>= for >: a shared map page is changed in place',
    file: 'map/map-tree.ts',
    find: 'if (birth > change.ownBound) {',
    replace: 'if (birth >= change.ownBound) {',
    profile: 'usual',
    seedsMax: 300,
  },
  {
    name: '>= for >: a walk frees blocks at its bound',
    file: 'map/map-walk.ts',
    find: 'if (split[block] !== 0 && birth > options.bound)',
    replace: 'if (split[block] !== 0 && birth >= options.bound)',
    profile: 'family',
    seedsMax: 300,
  },
  {
    name: '>= for >: a walk enters pages at its bound',
    file: 'map/map-walk.ts',
    find: 'if (table.pointers.birth[position]! > node.walkBound) positions.push(position);',
    replace: 'if (table.pointers.birth[position]! >= node.walkBound) positions.push(position);',
    profile: 'family',
    seedsMax: 300,
  },
  {
    name: '> for >=: a merge leaves the bucket at the bound',
    file: 'reclaim/dead-list.ts',
    find: 'if (bucket.birthLow >= epoch) taken.concatenate(bucket.sequence);',
    replace: 'if (bucket.birthLow > epoch) taken.concatenate(bucket.sequence);',
    profile: 'family',
    seedsMax: 300,
  },
  {
    name: '> for >=: entries go to the bucket of the next older ancestor',
    file: 'store/cell-state.ts',
    find: 'if (epochs[middle]! >= birth) low = middle + 1;',
    replace: 'if (epochs[middle]! >= birth - 1) low = middle + 1;',
    profile: 'family',
    seedsMax: 300,
  },
  {
    name: 'wrong merge: the child does not take over the dead list of the deleted snapshot',
    file: 'store/cell-state.ts',
    find: 'child.deadData.absorb(node.deadData);',
    replace: '',
    profile: 'family',
    seedsMax: 300,
  },
  {
    name: 'wrong merge: dead pages of the deleted snapshot are forgotten',
    file: 'store/cell-state.ts',
    find: 'child.deadMeta.absorb(node.deadMeta);',
    replace: '',
    profile: 'family',
    seedsMax: 300,
  },
  {
    name: 'wrong merge: garbage is what was born after the deleted snapshot, not after its parent',
    file: 'store/cell-state.ts',
    find: 'const garbageData = child.deadData.takeAbove(parentEpoch);',
    replace: 'const garbageData = child.deadData.takeAbove(node.epoch);',
    profile: 'family',
    seedsMax: 300,
  },
  {
    name: 'wrong merge: all of the dead list is garbage',
    file: 'store/cell-state.ts',
    find: 'const garbageData = child.deadData.takeAbove(parentEpoch);',
    replace: 'const garbageData = child.deadData.takeAbove(0);',
    profile: 'family',
    seedsMax: 300,
  },
  {
    name: 'wrong merge: the child becomes a root',
    file: 'store/cell-state.ts',
    find: 'if (parent) this.#setParent(child, parent);',
    replace: '',
    profile: 'family',
    seedsMax: 300,
  },
  {
    name: 'wrong merge: the size of what the child owns is off by the garbage',
    file: 'store/cell-state.ts',
    find: 'child.ownBlocks += node.ownBlocks - garbageData.entryCount;',
    replace: 'child.ownBlocks += node.ownBlocks;',
    profile: 'family',
    seedsMax: 300,
  },
  {
    name: 'a waiting snapshot does not merge when its last but one child is deleted',
    file: 'store/cell-state.ts',
    find: 'if (parent.isDeleted && parent.children.size === 1) this.#merge(parent);',
    replace: '',
    profile: 'family',
    seedsMax: 300,
  },
  {
    name: 'a snapshot with clones is merged into one of them',
    file: 'store/cell-state.ts',
    find: 'else if (node.children.size === 1) this.#merge(node);',
    replace: `else if (node.children.size >= 1) {
      Object.defineProperty(node, 'onlyChild', { value: [...node.children][0] });
      this.#merge(node);
    }`,
    profile: 'family',
    seedsMax: 300,
  },
  {
    name: 'a walk reads the bound of the living tree',
    file: 'store/tree-node.ts',
    find: '  walkBound = 0;',
    replace: `  #walkBound = 0;
  #formerParent: TreeNode | undefined;
  get walkBound(): number {
    const above = this.#formerParent;
    if (!above) return this.#walkBound;
    return above.isDeleted && above.children.size === 0 ? 0 : above.epoch;
  }
  set walkBound(bound: number) {
    this.#walkBound = bound;
    this.#formerParent = this.parent;
  }`,
    profile: 'walks',
    seedsMax: 800,
  },
  {
    name: 'the bound of a walk is not stored',
    file: 'store/tree-node.ts',
    find: 'node.walkBound = record.walkBound;',
    replace: '',
    profile: 'walks',
    seedsMax: 400,
  },
  {
    name: 'the cursor of a walk is not stored',
    file: 'store/tree-node.ts',
    find: 'node.walkCursor = record.walkCursor;',
    replace: '',
    profile: 'walks',
    seedsMax: 400,
  },
  {
    name: 'births of shared pages are read where a sibling has raised them',
    file: 'map/map-frame.ts',
    find: 'const pointers = { pbn: pbn.slice(), crc: crc.slice(), birth: birth.slice() };',
    replace: 'const pointers = { pbn: pbn.slice(), crc: crc.slice(), birth };',
    profile: 'family',
    seedsMax: 400,
  },
  {
    name: 'births of shared extension pages are read where a sibling has raised them',
    file: 'format/map-leaf.ts',
    find: 'copy.extBirth.set(leaf.extBirth);',
    replace: 'Object.assign(copy, { extBirth: leaf.extBirth });',
    profile: 'bulk',
    seedsMax: 800,
  },
  {
    name: 'births are raised when a page is written, not when it is changed',
    file: 'store/checkpoint/checkpoint-image.ts',
    find: `    case 'table':
      pointAtChildren(frame);`,
    replace: `    case 'table':
      for (const [position, child] of frame.children.entries()) {
        if (!child || child.pbn === frame.pointers.pbn[position]) continue;
        const heads = [...state.nodes.values()].filter((node) => node.family === family);
        frame.pointers.birth[position] = Math.max(...heads.map(({ curEpoch }) => curEpoch));
      }
      pointAtChildren(frame);`,
    profile: 'checkpoints',
    seedsMax: 400,
  },
  {
    name: 'a discard forgets shared blocks instead of putting them into the dead list',
    file: 'store/apply/map-changes.ts',
    find: 'tree.clearBlocks({ ...record, ...change }, onDropped);',
    replace: `tree.clearBlocks({ ...record, ...change }, (block) => {
          if (block.birth > node.parentEpoch) onDropped(block);
          else {
            node.referencedBlocks--;
            if (block.isSlack) node.slackBlocks--;
          }
        });`,
    profile: 'usual',
    seedsMax: 300,
  },
  {
    name: 'a discard frees shared blocks',
    file: 'store/apply/map-changes.ts',
    find: 'tree.clearBlocks({ ...record, ...change }, onDropped);',
    replace: `tree.clearBlocks({ ...record, ...change }, (block) => {
          if (block.birth <= node.parentEpoch) node.ownBlocks++;
          onDropped({ ...block, birth: node.parentEpoch + 1 });
        });`,
    profile: 'usual',
    seedsMax: 300,
  },
  {
    name: 'a snapshot leaves the dead list with the head',
    file: 'store/cell-state.ts',
    find: '    head.deadData = new DeadList(family);\n    head.deadMeta',
    replace: '    head.deadMeta',
    profile: 'usual',
    seedsMax: 300,
  },
  {
    name: 'epochs of a family are used again after a restart',
    file: 'store/pool-store.ts',
    find: 'const epoch = Math.max(node.epoch, node.curEpoch, this.#epochs.get(key) ?? 0);',
    replace: 'const epoch = Math.max(node.epoch, this.#epochs.get(key) ?? 0);',
    profile: 'usual',
    seedsMax: 300,
  },
  {
    name: 'family ids are used again after a restart',
    file: 'store/cell-loader.ts',
    find: 'state.nextFamilyId = root.nextFamilyId;',
    replace: '',
    profile: 'usual',
    seedsMax: 800,
  },
  {
    name: 'pages of dead-list entries are not freed with their entries',
    file: 'store/cell-state.ts',
    find: 'for (const pbn of finishedPages) this.freeMetaPage(pbn);',
    replace: '',
    profile: 'bulk',
    seedsMax: 1000,
  },
  {
    name: 'a deleted volume leaves the pages of its dead list behind',
    file: 'store/cell-state.ts',
    find: 'for (const pbn of list.entryPages()) this.freeMetaPage(pbn);',
    replace: '',
    profile: 'bulk',
    seedsMax: 1000,
  },
  {
    name: 'a deleted node leaves its page of attributes behind',
    file: 'store/cell-state.ts',
    find: 'if (node.attributesPage.pbn !== 0) this.freeMetaPage(node.attributesPage.pbn);',
    replace: '',
    profile: 'usual',
    seedsMax: 300,
  },
];
