import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startApiServer } from './api-server.ts';
import { readPath, textOf } from './objects/json.ts';
import { configMap, widget, widgetDefinition } from './testing/manifests.ts';
import { TestClient } from './testing/test-client.ts';

const maps = '/api/v1/namespaces/default/configmaps';
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const widgets = '/apis/example.dev/v1/namespaces/default/widgets';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'varve-objects-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** Runs a server on the directory for as long as the function takes. */
async function withServer<Result>(use: (client: TestClient) => Promise<Result>): Promise<Result> {
  const server = await startApiServer({ stateDirectory: directory });
  try {
    return await use(new TestClient(server.url));
  } finally {
    await server.close();
  }
}

function logFile(): string {
  const name = readdirSync(directory).find((each) => each.startsWith('changes-'));
  return join(directory, name ?? 'absent');
}

test('a restart keeps objects, versions, custom kinds and the history for watches', async () => {
  const version = await withServer(async (client) => {
    await client.create(crds, widgetDefinition());
    await client.create(widgets, widget('w'));
    const { body } = await client.create(maps, configMap('a', { n: '1' }));
    await client.mergePatch(
      `${widgets}/w/status`,
      '{"status":{"creationTime":1795474123456789013}}',
    );
    return readPath(body, 'metadata', 'resourceVersion');
  });
  await withServer(async (client) => {
    const { body } = await client.get(`${maps}/a`);
    expect(body['data']).toEqual({ n: '1' });
    expect(readPath(body, 'metadata', 'resourceVersion')).toBe(version);
    const kept = await client.get(`${widgets}/w`);
    expect(readPath(kept.body, 'status', 'creationTime')).toBe(1795474123456789013n);
    await client.mergePatch(`${maps}/a`, { data: { n: '2' } });
    const watch = await client.watch(`${maps}?watch=true&resourceVersion=${textOf(version)}`);
    expect(await watch.take(1)).toEqual(['MODIFIED a']);
    watch.close();
  });
});

test('what was answered survives kill -9', async () => {
  const program = `
    import { startApiServer } from ${JSON.stringify(new URL('./api-server.js', import.meta.url).href)};
    const server = await startApiServer({ stateDirectory: ${JSON.stringify(directory)} });
    console.log(server.url);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [url] = (await once(child.stdout, 'data')) as [Buffer];
  const client = new TestClient(url.toString().trim());
  const answered: string[] = [];
  for (let count = 0; count < 50; count++) {
    const { status } = await client.create(maps, configMap(`m-${count}`));
    if (status === 201) answered.push(`m-${count}`);
  }
  child.kill('SIGKILL');
  await once(child, 'exit');
  await withServer(async (after) => {
    const { body } = await after.get(maps);
    const names = (body['items'] as { metadata: { name: string } }[]).map(
      (each) => each.metadata.name,
    );
    expect(names.sort()).toEqual(answered.sort());
  });
});

test('a torn last line is cut off, and the log goes on behind what is whole', async () => {
  await withServer(async (client) => client.create(maps, configMap('whole')));
  appendFileSync(logFile(), '00000000 {"revision":99,"type":"ADDED"');
  await withServer(async (client) => {
    expect((await client.get(`${maps}/whole`)).status).toBe(200);
    await client.create(maps, configMap('next'));
  });
  await withServer(async (client) => expect((await client.get(`${maps}/next`)).status).toBe(200));
});

test('a line whose bytes were changed is not believed', async () => {
  await withServer(async (client) => client.create(maps, configMap('real', { n: '1' })));
  writeFileSync(logFile(), readFileSync(logFile(), 'utf8').replace('"n":"1"', '"n":"2"'));
  await withServer(async (client) => expect((await client.get(`${maps}/real`)).status).toBe(404));
});
