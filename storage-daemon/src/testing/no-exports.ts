/** Connections that nobody ever makes, for tests of the control side. */
import { NvmeTally } from '../nvmf/nvme-counters.ts';
import type { ExportServer } from '../reactor/export-server.ts';

/** Listens nowhere. */
export const noExports: ExportServer = {
  connectionCount: 0,
  authenticationFailureCount: 0,
  nvmeCounters: {
    controllers: 0,
    discoveries: 0,
    connections: 0,
    commands: { admin: 0, io: 0 },
    statuses: new NvmeTally().readStatuses(),
    dataRequests: 0,
    heldCommands: 0,
    headerDigestErrors: 0,
    dataDigestErrors: 0,
    protocolErrors: 0,
    keepAliveTimeouts: 0,
    slowHosts: 0,
  },
  nvmeAddresses: [],
  listen: async () => [],
  listenForNvme: async () => [],
  noteNvmeAddresses: () => undefined,
  adoptNbdClient: () => undefined,
  adoptNvmeQueue: () => undefined,
  fence: async () => undefined,
  volumeResized: () => undefined,
  accessChanged: () => undefined,
  close: async () => undefined,
};
