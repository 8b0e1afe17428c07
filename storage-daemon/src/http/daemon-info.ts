/** Handlers of health and identity. */
import type { HttpServices } from './http-services.ts';
import { requireReady } from './readiness.ts';
import type { RouteHandlers } from './route-handlers.ts';

/** Creates the handlers of health and identity. */
export function createInfoHandlers(
  services: HttpServices,
): RouteHandlers<'getHealth' | 'getReadiness' | 'getInfo'> {
  return {
    getHealth: async () => ({ status: 'ok' as const }),
    getReadiness: async () => {
      requireReady(services);
      return { status: 'ok' as const };
    },
    getInfo: async () => services.readInfo(),
  };
}
