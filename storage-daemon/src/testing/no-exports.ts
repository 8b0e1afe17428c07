/** Connections that nobody ever makes, for tests of the control side. */
import type { ExportServer } from '../reactor/export-server.ts';

/** Listens nowhere. */
export const noExports: ExportServer = {
  connectionCount: 0,
  listen: async () => [],
  close: async () => undefined,
  fence: async () => undefined,
};
