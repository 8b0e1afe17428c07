import { describe, expect, test } from '@jest/globals';

import { hostNqnSchema, putHostSchema } from './host.ts';

const key = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';
const longest = `nqn.2014-08.com.example:${'h'.repeat(199)}`;

describe('hostNqnSchema', () => {
  test.each([
    'nqn.2014-08.org.nvmexpress:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
    'nqn.2014-08.org.nvmexpress:uuid:F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6',
    'nqn.2014-08.com.example:nvme:nvm-subsystem-sn-d78432',
    'nqn.2014-08.com.example:nvme.host.sys.xyz',
    'nqn.2026-11.dev.varve',
    'nqn.2026-11.dev.varve:a/b?c#d%20',
    longest,
  ])('takes %s', (nqn) => {
    expect(hostNqnSchema.parse(nqn)).toBe(nqn);
  });

  test.each([
    '',
    'iqn.2014-08.com.example:host',
    'nqn.2014-8.com.example:host',
    'nqn.2014-13.com.example:host',
    'nqn.2014-00.com.example:host',
    'nqn.14-08.com.example:host',
    'nqn.2014-08.:host',
    'nqn.2014-08.com.example.:host',
    'nqn.2014-08.com.example:',
    'nqn.2014-08.com.example:a b',
    'nqn.2014-08.com.example:a\u0000',
    'nqn.2014-08.com.example:a\n',
    'nqn.2014-08.com.example:"',
    'nqn.2014-08.com.example:\\',
    'nqn.2014-08.com.example:é',
    'nqn.2014-08.org.nvmexpress:uuid:',
    'nqn.2014-08.org.nvmexpress:uuid:f81d4fae',
    'nqn.2014-08.org.nvmexpress:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6x',
    `${longest}h`,
  ])('refuses %j', (nqn) => {
    expect(hostNqnSchema.safeParse(nqn).success).toBe(false);
  });
});

describe('putHostSchema', () => {
  test.each([
    {},
    { hostKey: key },
    { hostKey: key, controllerKey: key },
    { hostKey: key, hash: 'SHA-384', dhGroup: 'ffdhe4096' },
  ])('takes %#', (body) => {
    expect(putHostSchema.parse(body)).toEqual(body);
  });

  test.each([
    [{ controllerKey: key }, 'controllerKey'],
    [{ hash: 'SHA-256' }, 'hash'],
    [{ dhGroup: 'null' }, 'dhGroup'],
    [{ hostKey: key, hash: 'MD5' }, 'hash'],
    [{ hostKey: key, dhGroup: 'ffdhe1024' }, 'dhGroup'],
    [{ hostKey: '' }, 'hostKey'],
    [{ hostKey: key.replace('DHHC-1', 'DHHC-2') }, 'hostKey'],
    [{ hostKey: key.replace(':00:', ':04:') }, 'hostKey'],
    [{ hostKey: key.slice(0, -1) }, 'hostKey'],
    [{ hostKey: key, controllerKey: 'secret' }, 'controllerKey'],
  ])('refuses %#, and names the field but not the key', (body, field) => {
    const { error } = putHostSchema.safeParse(body);
    expect(error?.issues[0]?.path).toEqual([field]);
    expect(JSON.stringify(error?.issues.map(({ message }) => message))).not.toContain('ia6z');
  });
});
