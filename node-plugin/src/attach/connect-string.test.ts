import { describe, expect, test } from '@jest/globals';
import { formatConnectString, type ConnectRequest } from './connect-string.ts';
import { hostIdentityOf } from './host-identity.ts';

const uid = '6f0e1c6e-3c0c-4d50-8b07-5f6b5a2f3b11';
const request: ConnectRequest = {
  subsystemNqn: 'nqn.2026-11.dev.varve:volume:1',
  portal: { host: '2001:db8::1', port: 4420 },
  identity: hostIdentityOf(`nqn.2014-08.org.nvmexpress:uuid:${uid}`),
  path: { reconnectDelaySeconds: 2, lossTimeoutSeconds: -1 },
  keys: {},
};

describe('formatConnectString()', () => {
  test('names the host by its NQN and the UUID in it', () => {
    expect(formatConnectString(request)).toBe(
      'transport=tcp,traddr=2001:db8::1,trsvcid=4420,nqn=nqn.2026-11.dev.varve:volume:1,' +
        `hostnqn=nqn.2014-08.org.nvmexpress:uuid:${uid},hostid=${uid},` +
        'reconnect_delay=2,ctrl_loss_tmo=-1',
    );
  });

  test('carries both keys', () => {
    const keys = { hostKey: 'DHHC-1:01:aGFsbG8=:', controllerKey: 'DHHC-1:00:d2VsdA==:' };
    expect(formatConnectString({ ...request, keys })).toMatch(
      /,dhchap_secret=DHHC-1:01:aGFsbG8=:,dhchap_ctrl_secret=DHHC-1:00:d2VsdA==:$/,
    );
  });

  test.each([
    ['a key that would add an option', { keys: { hostKey: 'DHHC-1:00:YQ==:,nqn=x' } }],
    ['a name that would add an option', { subsystemNqn: 'nqn.a,hostid=x' }],
    ['an address that would add a line', { portal: { host: 'a\nb', port: 1 } }],
  ])('refuses %s, without quoting it', (_, changes) => {
    const format = () => formatConnectString({ ...request, ...changes });
    expect(format).toThrow(expect.objectContaining({ kind: 'invalid-argument' }));
    expect(format).not.toThrow(/YQ==/);
  });
});
