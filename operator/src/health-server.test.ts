import { afterEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { HealthServer } from './health-server.ts';

let server: HealthServer | undefined;

afterEach(async () => {
  await server?.close();
});

describe('HealthServer', () => {
  test('tells whether the operator works, and why not', async () => {
    let reason: string | undefined = 'listing volumesnapshots';
    server = await HealthServer.start('127.0.0.1:0', {
      registry: new Registry(),
      notReadyReason: () => reason,
    });
    const get = async (path: string): Promise<string> => {
      const response = await fetch(`${server?.url}${path}`);
      return `${response.status} ${(await response.text()).trim()}`;
    };
    expect(await get('/healthz')).toBe('200 ok');
    expect(await get('/readyz')).toBe('503 listing volumesnapshots');
    reason = undefined;
    expect(await get('/readyz')).toBe('200 ok');
    expect(await get('/')).toBe('404 there are /metrics, /healthz and /readyz');
  });

  test('says which address it cannot have', async () => {
    const sources = { registry: new Registry(), notReadyReason: () => undefined };
    server = await HealthServer.start('[::1]:0', sources);
    const taken = new URL(server.url).host;
    await expect(HealthServer.start(taken, sources)).rejects.toThrow(
      `Serving metrics and health on ${taken} failed: listen EADDRINUSE`,
    );
  });
});
