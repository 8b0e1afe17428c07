/** Connections that nobody ever makes, for tests of the control side. */
import type { ExportServer } from '../reactor/export-server.ts';

/** Listens nowhere. */
export const noExports: ExportServer = {
  connectionCount: 0,
  authenticationFailureCount: 0,
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
