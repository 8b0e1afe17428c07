/**
 * The kernel proves itself to the daemon and lets the daemon prove itself (DH-HMAC-CHAP), and is shut out when its
 * grant is taken back.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Initiator, type AttachOptions } from '../initiator.ts';
import type { VmTest } from '../vm-test.ts';

const volumeBytes = 64 * 2 ** 20;
const commandTimeoutMs = 120_000;
/** Hashes by which a key may be transformed, by their number in it, with the key's length. */
const hashes = [
  { name: 'SHA-256', hmac: 1, keyBytes: 32 },
  { name: 'SHA-384', hmac: 2, keyBytes: 48 },
  { name: 'SHA-512', hmac: 3, keyBytes: 64 },
] as const;

/** All hashes, one way and both ways; wrong keys; a revoke. */
export const initiatorAuthenticationTest: VmTest = {
  name: 'vm-initiator-authentication',
  summary: 'DH-HMAC-CHAP lets in who knows the key and nobody else, and a revoke shuts a host out',
  programs: [],
  timeoutMs: 900_000,
  run: async (bench) => {
    const site = await Initiator.start(bench);
    await site.daemon.client.putVolume('volume', { pool: 'pool', sizeBytes: volumeBytes });
    for (const { name, hmac, keyBytes } of hashes) {
      const hostKey = generateKey(hmac, keyBytes);
      const controllerKey = generateKey(hmac, keyBytes);
      await expectReadable(site, { grant: { hostKey }, hostKey });
      const grant = { hostKey, controllerKey };
      await expectReadable(site, { grant, hostKey, controllerKey });
      bench.note(`${name}: the host proves itself, then both prove themselves`);
      const otherKey = generateKey(hmac, keyBytes);
      await expectRefused(site, { grant, hostKey: otherKey });
      await expectRefused(site, { grant });
      await expectRefused(site, { grant, hostKey, controllerKey: otherKey });
      bench.note(`${name}: wrong keys and none are refused`);
    }
    await expectShutOut(site);
    await site.daemon.stop();
    await site.daemon.expectCleanPool();
  },
};

/** A key as administrators make it: the secret and its CRC-32, in base64. */
function generateKey(hmac: number, keyBytes: number): string {
  const secret = randomBytes(keyBytes);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32(secret));
  return `DHHC-1:0${hmac}:${Buffer.concat([secret, checksum]).toString('base64')}:`;
}

async function expectReadable(site: Initiator, options: AttachOptions): Promise<void> {
  const volume = await site.attach('volume', options);
  await site.machine.run(
    `head -c 1M /dev/urandom >/tmp/data
     dd if=/tmp/data of=${volume.device} bs=1M oflag=direct status=none
     read=$(dd if=${volume.device} bs=1M count=1 iflag=direct status=none | sha256sum)
     [ "$read" = "$(sha256sum </tmp/data)" ]`,
    commandTimeoutMs,
  );
  await site.detach(volume);
}

async function expectRefused(site: Initiator, options: AttachOptions): Promise<void> {
  const subsystemNqn = await site.grant('volume', options.grant);
  const result = await site.machine.tryRun(
    site.connectCommand(subsystemNqn, options),
    commandTimeoutMs,
  );
  assert.notEqual(result.code, 0, `the kernel is not let in: ${result.stdout}`);
  await site.revoke('volume');
}

/** After a revoke has answered, nothing that the host sends is done. */
async function expectShutOut(site: Initiator): Promise<void> {
  const volume = await site.attach('volume');
  await site.revoke('volume');
  const written = site.machine.tryRun(
    `timeout 20 dd if=/dev/zero of=${volume.device} bs=4k count=1 oflag=direct status=none`,
    commandTimeoutMs,
  );
  assert.notEqual((await written).code, 0, 'a write after the revoke does not succeed');
  await site.machine.run(`nvme disconnect --nqn=${volume.subsystemNqn} || true`, commandTimeoutMs);
}
