/** Catalog and group list: pages without header below two levels of tables. */
import type { CellRoot, CountedPointer } from '../../format/cell-root.ts';
import {
  type CatalogRecord,
  catalogRecordBytes,
  catalogRecordsPerPage,
  decodeCatalogRecord,
} from '../../format/catalog-record.ts';
import { checkFormat } from '../../format/corruption-error.ts';
import {
  decodeGroupListPage,
  groupEntriesPerPage,
  type GroupEntry,
} from '../../format/group-list.ts';
import type { MetadataPointer } from '../../format/metadata-pointer.ts';
import { PageType } from '../../format/page-header.ts';
import { decodeTablePage } from '../../format/table-page.ts';
import type { Findings } from '../findings.ts';
import type { PoolReader } from './pool-reader.ts';

/** What was read, and the pages that it lies in. */
export interface CellTable<T> {
  readonly entries: readonly T[];
  readonly pbns: readonly number[];
  /** False if a part could not be read. */
  readonly isWhole: boolean;
}

interface TableShape {
  readonly cell: number;
  readonly type: PageType;
  readonly pageCount: number;
  readonly what: string;
}

/** All nodes of a cell. */
export async function readCatalog(
  reader: PoolReader,
  root: CellRoot,
  findings: Findings,
): Promise<CellTable<CatalogRecord>> {
  const what = `cell ${root.cell}, catalog`;
  const shape = {
    cell: root.cell,
    type: PageType.catalogTable,
    pageCount: root.catalog.count,
    what,
  };
  const pages = await readPages(reader, root.catalog.pointer, shape, findings);
  const entries: CatalogRecord[] = [];
  let { isWhole } = pages;
  for (const [index, page] of pages.entries) {
    for (let position = 0; position < catalogRecordsPerPage; position++) {
      const id = index * catalogRecordsPerPage + position;
      const start = position * catalogRecordBytes;
      const record = await findings.attempt(`${what}, node ${id}`, async () => {
        const found = decodeCatalogRecord(page.subarray(start, start + catalogRecordBytes));
        const isHere = found === undefined || found.id === id;
        checkFormat(isHere, 'position', () => `found node ${found?.id} in its place`, start);
        return found ?? 'absent';
      });
      if (record === undefined) isWhole = false;
      else if (record !== 'absent') entries.push(record);
    }
  }
  return { entries, pbns: pages.pbns, isWhole };
}

/** All groups of a cell. */
export async function readGroupList(
  reader: PoolReader,
  root: CellRoot,
  findings: Findings,
): Promise<CellTable<GroupEntry>> {
  const { count } = root.groupList;
  const what = `cell ${root.cell}, group list`;
  const pageCount = Math.ceil(count / groupEntriesPerPage);
  const shape = { cell: root.cell, type: PageType.groupListTable, pageCount, what };
  const pages = await readPages(reader, root.groupList.pointer, shape, findings);
  const entries: GroupEntry[] = [];
  let { isWhole } = pages;
  for (const [index, page] of pages.entries) {
    const rest = Math.min(groupEntriesPerPage, count - index * groupEntriesPerPage);
    const found = await findings.attempt(`${what}, page ${index}`, async () =>
      decodeGroupListPage(page, rest),
    );
    if (found) entries.push(...found);
    else isWhole = false;
  }
  findings.expect(
    !isWhole || entries.length === count,
    () => `${what}: the root counts ${count} groups, there are ${entries.length}`,
  );
  return { entries, pbns: pages.pbns, isWhole };
}

/** The pages by their number. An absent page (null pointer) is left out. */
async function readPages(
  reader: PoolReader,
  pointer: CountedPointer['pointer'],
  shape: TableShape,
  findings: Findings,
): Promise<CellTable<[index: number, page: Uint8Array]>> {
  const fanOut = reader.geometry.tableFanOut;
  const { what, pageCount } = shape;
  const pbns: number[] = [];
  const entries: [number, Uint8Array][] = [];
  if (pageCount > fanOut * fanOut) {
    findings.add(`${what}: ${pageCount} pages, two levels of tables hold ${fanOut * fanOut}`);
    return { entries, pbns, isWhole: false };
  }
  if (pointer.pbn === 0) return { entries, pbns, isWhole: true };
  let isWhole = true;
  const tableCount = Math.ceil(pageCount / fanOut);
  const tables = await readTable({ level: 2, index: 0, used: tableCount }, pointer);
  for (const [tableIndex, table] of (tables ?? []).entries()) {
    const used = Math.min(fanOut, pageCount - tableIndex * fanOut);
    const pointers = (await readTable({ level: 1, index: tableIndex, used }, table)) ?? [];
    await reader.fetchAhead(pointers.map(({ pbn }) => pbn));
    for (const [position, each] of pointers.entries()) {
      if (each.pbn === 0) continue;
      const index = tableIndex * fanOut + position;
      pbns.push(each.pbn);
      const page = await findings.attempt(`${what}, page ${index}`, () => reader.readPage(each));
      if (page) entries.push([index, page]);
      else isWhole = false;
    }
  }
  return { entries, pbns, isWhole };

  /** The first `used` pointers of a table; all others must be null. */
  async function readTable(
    place: { level: number; index: number; used: number },
    at: MetadataPointer,
  ): Promise<MetadataPointer[] | undefined> {
    const { level, index, used } = place;
    if (at.pbn === 0) return [];
    pbns.push(at.pbn);
    const name = `${what}, table ${index} of level ${level}`;
    const found = await findings.attempt(name, async () => {
      const position = { type: shape.type, level, cell: shape.cell, family: 0, index };
      const { pbn, crc, birth } = decodeTablePage(await reader.readPage(at), position);
      const hasMore = pbn.some((value, child) => child >= used && value !== 0);
      checkFormat(!hasMore, 'range', () => `it has more than ${used} pointers`, 128);
      const hasBirth = birth.some((value) => value !== 0) || at.birth !== 0;
      checkFormat(!hasBirth, 'range', () => 'a page of the cell has a birth', 2176);
      return Array.from({ length: used }, (_, child) => ({
        pbn: pbn[child]!,
        crc: crc[child]!,
        birth: 0,
      }));
    });
    if (!found) isWhole = false;
    return found;
  }
}
