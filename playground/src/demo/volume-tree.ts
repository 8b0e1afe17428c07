/**
 * What the storage daemon holds, as a tree: each volume with its snapshots, each snapshot with what was made from it.
 */
import type { DaemonClient } from '@varve/contract/client/daemon-client';
import type { Snapshot } from '@varve/contract/snapshot';
import type { Volume } from '@varve/contract/volume';

interface Node {
  readonly line: readonly [name: string, ...columns: string[]];
  readonly children: readonly Node[];
}

/** Reads the daemon's volumes and snapshots, and prints them with their sizes. */
export async function formatVolumeTree(daemon: DaemonClient): Promise<string> {
  const volumes: Volume[] = [];
  const snapshots: Snapshot[] = [];
  for await (const volume of daemon.allVolumes({ space: 'true' })) volumes.push(volume);
  for await (const snapshot of daemon.allSnapshots({ space: 'true' })) snapshots.push(snapshot);
  if (volumes.length + snapshots.length === 0) return '  (no volumes, no snapshots)';
  const rows = rootsOf(volumes, snapshots).flatMap((node) => formatNode(node, '', ''));
  return formatRows([['', 'size', 'referenced', 'its own'], ...rows]);
}

/** What has no origin, or whose origin is deleted, stands at the left. An object is older than what came from it. */
function rootsOf(volumes: readonly Volume[], snapshots: readonly Snapshot[]): Node[] {
  const ids = new Set([...volumes, ...snapshots].map((each) => each.id));
  const originOf = ({ source }: Volume): string => source?.snapshot ?? source?.volume ?? '';
  const childrenOf = (id: string): Node[] => [
    ...snapshots.filter((snapshot) => snapshot.volume === id).map((each) => snapshotNode(each)),
    ...volumes.filter((volume) => originOf(volume) === id).map((each) => volumeNode(each)),
  ];
  const volumeNode = (volume: Volume): Node => ({
    line: [
      `volume ${nameOf(volume.labels, volume.id)}`,
      formatBytes(volume.sizeBytes),
      formatBytes(volume.referencedBytes),
      formatBytes(volume.uniqueBytes ?? 0),
    ],
    children: childrenOf(volume.id),
  });
  const snapshotNode = (snapshot: Snapshot): Node => ({
    line: [
      `snapshot ${nameOf(snapshot.labels, snapshot.id)}`,
      formatBytes(snapshot.restoreSizeBytes),
      formatBytes(snapshot.referencedBytes),
      formatBytes(snapshot.uniqueBytes ?? 0),
    ],
    children: childrenOf(snapshot.id),
  });
  return [
    ...volumes.filter((volume) => !ids.has(originOf(volume))).map((each) => volumeNode(each)),
    ...snapshots.filter((snapshot) => !ids.has(snapshot.volume)).map((each) => snapshotNode(each)),
  ];
}

/** The Kubernetes name that the operator put on the object, else its id. */
function nameOf(labels: Readonly<Record<string, string>>, id: string): string {
  return labels['varve.dev/name'] ?? id;
}

function formatNode(node: Node, own: string, inherited: string): string[][] {
  const [name, ...columns] = node.line;
  const last = node.children.length - 1;
  const below = node.children.flatMap((child, index) => {
    const isLast = index === last;
    return formatNode(
      child,
      `${inherited}${isLast ? '└─ ' : '├─ '}`,
      `${inherited}${isLast ? '   ' : '│  '}`,
    );
  });
  return [[`${own}${name}`, ...columns], ...below];
}

function formatRows(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map((row) => {
      const cells = row.map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      );
      return `  ${cells.join('  ')}`.trimEnd();
    })
    .join('\n');
}

/** A number of bytes with a binary unit: `256 MiB`, `1.5 GiB`, `0 B`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let amount = bytes;
  let unit = 0;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)} ${units[unit]}`;
}
