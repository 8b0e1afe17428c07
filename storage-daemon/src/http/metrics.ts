/** The page for Prometheus. */
import { otherPathRoles, otherPaths } from '@varve/contract/routes';
import type { FastifyInstance } from 'fastify';

import type { HttpServices } from './http-services.ts';

/** Registers the page. */
export function registerMetrics(app: FastifyInstance, services: HttpServices): void {
  const { channel, pools, metrics, events, readCounters } = services;
  app.get(
    otherPaths.metrics,
    { schema: { hide: true }, config: { roles: otherPathRoles.metrics } },
    async (_, reply) => {
      const pendingCalls = channel.pendingCount;
      const [counters, allPools] = await Promise.all([readCounters(), pools.list()]);
      const eventStreams = events.listenerCount;
      return reply
        .type(metrics.contentType)
        .send(await metrics.scrape({ pools: allPools, counters, pendingCalls, eventStreams }));
    },
  );
}
