/**
 * How the two halves of a reactor meet: the control side (pools, catalog, calls of the main thread) and the
 * connections (sockets, protocol cores, volumes). Both run on one thread, so what one asks of the other
 * holds until the asker's turn ends.
 */
import type { Info } from '@varve/contract/info';

import type { NodeKind, NodeName, NodeSummary, Store } from '../store/store-api.ts';
import type { NbdListenAddress } from './messages.ts';

/** A node and the open pool that holds it. */
export interface FoundNode {
  readonly store: Store;
  readonly summary: NodeSummary;
}

/** What the connections see of the control side. */
export interface ExportCatalog {
  /** Looks in all open pools; ids are unique over them. */
  find(node: NodeName): FoundNode | undefined;
  /** All nodes of a kind in all open pools, in order of id. */
  list(kind: NodeKind): readonly FoundNode[];
}

/** Numbers of all connections since the start. */
export interface ExportCounters {
  /** Open now. */
  readonly connections: number;
  readonly requests: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** What the control side sees of the connections. */
export interface ExportServer {
  /** Listens; answers where. Rejects with a ProblemError if an address cannot be had. */
  listen(addresses: readonly NbdListenAddress[]): Promise<Info['exports']>;
  /** Connections that have the export of this node open now. */
  connectionCount(node: NodeName): number;
  counters(): ExportCounters;
  /** Stops listening, ends connections after the requests that they have sent, closes all NodeIo objects. */
  close(): Promise<void>;
}
