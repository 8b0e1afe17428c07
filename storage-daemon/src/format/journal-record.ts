/**
 * Records of the journal. A record is one slot, or one slot and the payload that follows it in the same block:
 *
 *   OFFSET SIZE FIELD
 *        0    1 op
 *        1    1 arg
 *        2    2 flags     of a record with payload: its bytes
 *        4    4 node
 *        8    4 lbn
 *       12    4 pbn
 *
 *   op            arg    flags  node          lbn           pbn
 *    0 NOP                                                             pads a block
 *    1 SET        n-1           head          first block   first pbn  n consecutive blocks
 *    2 CLEAR             n      head          first block
 *    3 WALK                     walking node  cursor
 *    4 FREED                                  item          entries done, absolute
 *    5 GROUP_GET                                            group
 *    6 DELETE                   node
 *    7 CREATE            bytes  new node                    curEpoch   payload
 *    8 SNAPSHOT          bytes  head          new node      curEpoch   payload; curEpoch: the head's from now on
 *    9 CLONE             bytes  source        new node      curEpoch   payload
 *   10 REVERT            bytes  head          new node      curEpoch   payload; reference: the snapshot
 *   11 RESIZE                   head          size in blocks
 *   12 ATTRIBUTES        bytes  node                                   payload
 *   13 GROUP_PUT                                            group
 *   14 SET_CLUSTERS      n      head          first cluster first physical cluster; all blocks of all n are valid
 *   15 SET_PART          mask   head          cluster       physical cluster; for a hole; blocks of the mask are valid
 *   16 VALID             mask   head          cluster       physical cluster; these blocks of it are valid as well
 *   17 HEAL                     head          cluster       physical cluster that the split cluster was copied to
 *   18 SPLIT                    head          cluster                  gives up the slack of a natural cluster
 *
 * Payload: uuid 16, createdMs f64, sizeBlocks u32, reference u32, nameLength u8, name, attributesLength u16,
 * attributes; zeros up to the next slot.
 *
 * The journal is logical: replaying a record on the state before it gives the state after it, dead lists included.
 */
import { assert, assertNever } from '@varve/common/assert';

import { checkReserved, decodeText, encodeText, viewOf } from './byte-fields.ts';
import { nameBytesMax } from './catalog-record.ts';
import { checkFormat } from './corruption-error.ts';
import { journalSlotBytes } from './journal-block.ts';

/** Most bytes of a node's attributes. */
export const attributesBytesMax = 3072;
/** Most blocks of one SET. */
export const setBlocksMax = 256;
/** Most clusters of one SET_CLUSTERS: it is applied in one go, so this bounds how long others wait. */
export const setClustersMax = 256;
/** Most blocks of one CLEAR: it is applied in one go, so this bounds how long others wait. */
export const clearBlocksMax = 4096;
const fixedPayloadBytes = 16 + 8 + 4 + 4 + 1 + 2;
/** Most slots of one record. */
export const recordSlotsMax =
  1 + Math.ceil((fixedPayloadBytes + nameBytesMax + attributesBytesMax) / journalSlotBytes);
assert(recordSlotsMax <= 203, 'the largest record leaves room for two small ones in its block');

const Op = {
  nop: 0,
  set: 1,
  clear: 2,
  walk: 3,
  freed: 4,
  groupGet: 5,
  delete: 6,
  create: 7,
  snapshot: 8,
  clone: 9,
  revert: 10,
  resize: 11,
  attributes: 12,
  groupPut: 13,
  setClusters: 14,
  setPart: 15,
  valid: 16,
  heal: 17,
  split: 18,
} as const;

/** What is kept of a new node besides its place in the tree. */
export interface NodePayload {
  readonly uuid: Uint8Array;
  readonly createdMs: number;
  readonly sizeBlocks: number;
  readonly name: string;
  readonly attributes: string;
}

/** A node made from another: `source` is the head that is cut, or the snapshot that is cloned. */
interface DerivedNode {
  readonly source: number;
  readonly node: number;
  readonly curEpoch: number;
  readonly payload: NodePayload;
}

/** A cluster of a head, and its physical cluster (pbn / 16). */
interface PlacedCluster {
  readonly node: number;
  readonly cluster: number;
  readonly base: number;
}

/** One change of a cell's state. */
export type JournalRecord =
  | {
      readonly op: 'set';
      readonly node: number;
      readonly lbn: number;
      readonly pbn: number;
      readonly count: number;
    }
  | { readonly op: 'clear'; readonly node: number; readonly lbn: number; readonly count: number }
  | ({ readonly op: 'setClusters'; readonly count: number } & PlacedCluster)
  | ({ readonly op: 'setPart' | 'valid'; readonly mask: number } & PlacedCluster)
  | ({ readonly op: 'heal' } & PlacedCluster)
  | { readonly op: 'split'; readonly node: number; readonly cluster: number }
  | { readonly op: 'walk'; readonly node: number; readonly cursor: number }
  | { readonly op: 'freed'; readonly item: number; readonly done: number }
  | { readonly op: 'groupGet'; readonly group: number }
  | { readonly op: 'groupPut'; readonly group: number }
  | { readonly op: 'delete'; readonly node: number }
  | {
      readonly op: 'create';
      readonly node: number;
      readonly curEpoch: number;
      readonly family: number;
      readonly payload: NodePayload;
    }
  | ({ readonly op: 'snapshot' } & DerivedNode)
  | ({ readonly op: 'clone' } & DerivedNode)
  | {
      readonly op: 'revert';
      readonly source: number;
      readonly node: number;
      readonly curEpoch: number;
      readonly snapshot: number;
      readonly attributes: string;
    }
  | { readonly op: 'resize'; readonly node: number; readonly sizeBlocks: number }
  | { readonly op: 'attributes'; readonly node: number; readonly attributes: string };

interface Slot {
  readonly op: number;
  readonly arg?: number;
  readonly flags?: number;
  readonly node?: number;
  readonly lbn?: number;
  readonly pbn?: number;
}

const noPayload: NodePayload = {
  uuid: new Uint8Array(16),
  createdMs: 0,
  sizeBlocks: 0,
  name: '',
  attributes: '',
};

/** The bytes of a record: a multiple of the slot size. */
export function encodeJournalRecord(record: JournalRecord): Uint8Array {
  switch (record.op) {
    case 'set':
      assert(record.count >= 1 && record.count <= setBlocksMax, `SET of ${record.count} blocks`);
      return slotBytes({ ...record, op: Op.set, arg: record.count - 1 });
    case 'clear':
      assert(record.count >= 1 && record.count <= clearBlocksMax, `CLEAR of ${record.count}`);
      return slotBytes({ ...record, op: Op.clear, flags: record.count });
    case 'setClusters':
      assert(
        record.count >= 1 && record.count <= setClustersMax,
        `SET of ${record.count} clusters`,
      );
      return slotBytes({ ...clusterFields(record), op: Op.setClusters, flags: record.count });
    case 'setPart':
    case 'valid':
      assert(record.mask >= 1 && record.mask <= 0xffff, `valid blocks ${record.mask}`);
      return slotBytes({ ...clusterFields(record), op: Op[record.op], flags: record.mask });
    case 'heal':
      return slotBytes({ ...clusterFields(record), op: Op.heal });
    case 'split':
      return slotBytes({ op: Op.split, node: record.node, lbn: record.cluster });
    case 'walk':
      return slotBytes({ op: Op.walk, node: record.node, lbn: record.cursor });
    case 'freed':
      return slotBytes({ op: Op.freed, lbn: record.item, pbn: record.done });
    case 'groupGet':
    case 'groupPut':
      return slotBytes({ op: Op[record.op], pbn: record.group });
    case 'delete':
      return slotBytes({ op: Op.delete, node: record.node });
    case 'create':
      return withPayload(
        { op: Op.create, node: record.node, pbn: record.curEpoch },
        { ...record.payload, reference: record.family },
      );
    case 'snapshot':
    case 'clone':
      return withPayload(
        { op: Op[record.op], node: record.source, lbn: record.node, pbn: record.curEpoch },
        { ...record.payload, reference: 0 },
      );
    case 'revert':
      return withPayload(
        { op: Op.revert, node: record.source, lbn: record.node, pbn: record.curEpoch },
        { ...noPayload, attributes: record.attributes, reference: record.snapshot },
      );
    case 'resize':
      return slotBytes({ op: Op.resize, node: record.node, lbn: record.sizeBlocks });
    case 'attributes':
      return withPayload(
        { op: Op.attributes, node: record.node },
        { ...noPayload, attributes: record.attributes, reference: 0 },
      );
    default:
      return assertNever(record, 'journal record');
  }
}

function clusterFields({ node, cluster, base }: PlacedCluster): Omit<Slot, 'op'> {
  return { node, lbn: cluster, pbn: base };
}

function slotBytes(slot: Slot, payloadBytes = 0): Uint8Array {
  const slotCount = 1 + Math.ceil(payloadBytes / journalSlotBytes);
  const bytes = new Uint8Array(slotCount * journalSlotBytes);
  const view = viewOf(bytes);
  view.setUint8(0, slot.op);
  view.setUint8(1, slot.arg ?? 0);
  view.setUint16(2, payloadBytes > 0 ? payloadBytes : (slot.flags ?? 0), true);
  view.setUint32(4, slot.node ?? 0, true);
  view.setUint32(8, slot.lbn ?? 0, true);
  view.setUint32(12, slot.pbn ?? 0, true);
  return bytes;
}

function withPayload(slot: Slot, payload: NodePayload & { reference: number }): Uint8Array {
  const name = encodeText(payload.name);
  const attributes = encodeText(payload.attributes);
  assert(name.length <= nameBytesMax, `a name of ${name.length} bytes`);
  assert(attributes.length <= attributesBytesMax, `attributes of ${attributes.length} bytes`);
  const payloadBytes = fixedPayloadBytes + name.length + attributes.length;
  const bytes = slotBytes(slot, payloadBytes);
  const view = viewOf(bytes);
  let offset = journalSlotBytes;
  bytes.set(payload.uuid, offset);
  view.setFloat64((offset += 16), payload.createdMs, true);
  view.setUint32((offset += 8), payload.sizeBlocks, true);
  view.setUint32((offset += 4), payload.reference, true);
  view.setUint8((offset += 4), name.length);
  bytes.set(name, (offset += 1));
  view.setUint16((offset += name.length), attributes.length, true);
  bytes.set(attributes, offset + 2);
  return bytes;
}

/**
 * All records of a block, in order.
 *
 * @throws CorruptionError `unsupported`, `reserved` or `range`: the block's checksum was right, so this is another
 * version's block
 */
export function decodeJournalRecords(slots: Uint8Array): JournalRecord[] {
  const records: JournalRecord[] = [];
  for (let offset = 0; offset < slots.length;) {
    const { record, bytes } = decodeRecord(slots, offset);
    if (record) records.push(record);
    offset += bytes;
  }
  return records;
}

function readSlot(slots: Uint8Array, offset: number): Required<Slot> {
  const view = viewOf(slots.subarray(offset));
  return {
    op: view.getUint8(0),
    arg: view.getUint8(1),
    flags: view.getUint16(2, true),
    node: view.getUint32(4, true),
    lbn: view.getUint32(8, true),
    pbn: view.getUint32(12, true),
  };
}

function decodeRecord(
  slots: Uint8Array,
  offset: number,
): { record: JournalRecord | undefined; bytes: number } {
  const { op, arg, flags, node, lbn, pbn } = readSlot(slots, offset);
  /** A record of one slot; `unused` joins the fields that it does not have. */
  const single = (record: JournalRecord | undefined, unused: number) => {
    checkFormat(unused === 0, 'reserved', () => `record ${op} uses unknown fields`, offset);
    return { record, bytes: journalSlotBytes };
  };
  if (op >= Op.setClusters && op <= Op.split) {
    const { record, unused } = clusterRecord({ op, flags, node, lbn, pbn }, offset);
    return single(record, arg | unused);
  }
  switch (op) {
    case Op.nop:
      return single(undefined, arg | flags | node | lbn | pbn);
    case Op.set:
      checkFormat(pbn !== 0, 'range', () => 'a SET to no block', offset);
      return single({ op: 'set', node, lbn, pbn, count: arg + 1 }, flags);
    case Op.clear:
      checkFormat(
        flags >= 1 && flags <= clearBlocksMax,
        'range',
        () => `a CLEAR of ${flags} blocks`,
        offset,
      );
      return single({ op: 'clear', node, lbn, count: flags }, arg | pbn);
    case Op.walk:
      return single({ op: 'walk', node, cursor: lbn }, arg | flags | pbn);
    case Op.freed:
      return single({ op: 'freed', item: lbn, done: pbn }, arg | flags | node);
    case Op.groupGet:
      return single({ op: 'groupGet', group: pbn }, arg | flags | node | lbn);
    case Op.groupPut:
      return single({ op: 'groupPut', group: pbn }, arg | flags | node | lbn);
    case Op.delete:
      return single({ op: 'delete', node }, arg | flags | lbn | pbn);
    case Op.resize:
      return single({ op: 'resize', node, sizeBlocks: lbn }, arg | flags | pbn);
    default:
      break;
  }
  const bytes = journalSlotBytes * (1 + Math.ceil(flags / journalSlotBytes));
  const isWhole = flags >= fixedPayloadBytes && offset + bytes <= slots.length;
  checkFormat(isWhole, 'range', () => `record ${op} has a payload of ${flags} bytes`, offset);
  checkFormat(arg === 0, 'reserved', () => `record ${op} uses unknown fields`, offset + 1);
  const start = offset + journalSlotBytes;
  checkReserved(slots, start + flags, offset + bytes);
  const { payload, reference } = decodePayload(slots.subarray(start, start + flags));
  const curEpoch = pbn;
  switch (op) {
    case Op.create:
      return { record: { op: 'create', node, curEpoch, family: reference, payload }, bytes };
    case Op.snapshot:
      return { record: { op: 'snapshot', source: node, node: lbn, curEpoch, payload }, bytes };
    case Op.clone:
      return { record: { op: 'clone', source: node, node: lbn, curEpoch, payload }, bytes };
    case Op.revert: {
      const record = { op: 'revert', source: node, node: lbn, curEpoch } as const;
      return { record: { ...record, snapshot: reference, attributes: payload.attributes }, bytes };
    }
    default:
      checkFormat(op === Op.attributes, 'unsupported', () => `journal record ${op}`, offset);
      return { record: { op: 'attributes', node, attributes: payload.attributes }, bytes };
  }
}

/** A record that names a cluster; `unused` joins the fields that it does not have. */
function clusterRecord(
  { op, flags, node, lbn, pbn }: Required<Omit<Slot, 'arg'>>,
  offset: number,
): { record: JournalRecord; unused: number } {
  if (op === Op.split) return { record: { op: 'split', node, cluster: lbn }, unused: flags | pbn };
  checkFormat(
    pbn !== 0 && pbn < 2 ** 28,
    'range',
    () => `record ${op} names physical cluster ${pbn}`,
    offset,
  );
  const placed = { node, cluster: lbn, base: pbn };
  if (op === Op.heal) return { record: { op: 'heal', ...placed }, unused: flags };
  if (op === Op.setClusters) {
    const isInRange = flags >= 1 && flags <= setClustersMax;
    checkFormat(isInRange, 'range', () => `a SET of ${flags} clusters`, offset);
    return { record: { op: 'setClusters', ...placed, count: flags }, unused: 0 };
  }
  checkFormat(flags !== 0, 'range', () => 'a cluster without a valid block', offset);
  const kind = op === Op.valid ? 'valid' : 'setPart';
  return { record: { op: kind, ...placed, mask: flags }, unused: 0 };
}

function decodePayload(bytes: Uint8Array): { payload: NodePayload; reference: number } {
  const view = viewOf(bytes);
  const nameLength = view.getUint8(32);
  const attributesOffset = fixedPayloadBytes + nameLength;
  const hasName = nameLength <= nameBytesMax && attributesOffset <= bytes.length;
  checkFormat(hasName, 'range', () => `name length ${nameLength}`, 32);
  const attributesLength = view.getUint16(attributesOffset - 2, true);
  const hasAttributes =
    attributesLength <= attributesBytesMax && attributesOffset + attributesLength === bytes.length;
  checkFormat(hasAttributes, 'range', () => `attributes length ${attributesLength}`, 33);
  const payload: NodePayload = {
    uuid: bytes.slice(0, 16),
    createdMs: view.getFloat64(16, true),
    sizeBlocks: view.getUint32(24, true),
    name: decodeText(bytes.subarray(33, 33 + nameLength), 33),
    attributes: decodeText(bytes.subarray(attributesOffset), attributesOffset),
  };
  return { payload, reference: view.getUint32(28, true) };
}
