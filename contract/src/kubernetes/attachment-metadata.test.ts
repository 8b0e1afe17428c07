import { describe, expect, test } from '@jest/globals';
import { formatAttachmentMetadata, parseAttachmentMetadata } from './attachment-metadata.ts';

const metadata = {
  hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:6f0e1c6e-3c0c-4d50-8b07-5f6b5a2f3b11',
  subsystemNqn: 'nqn.2026-11.dev.varve:volume:0c7a1f0e-5d4f-4b57-9f6e-0d8f0b3f3a11',
  namespaceUuid: '0c7a1f0e-5d4f-4b57-9f6e-0d8f0b3f3a11',
  sizeBytes: 1 << 28,
  portals: [
    { host: '192.0.2.1', port: 4420 },
    { host: '2001:db8::1', port: 4421 },
  ],
  daemonEndpoint: 'https://192.0.2.1:8443',
};

describe('attachment metadata', () => {
  test('comes back as it was written', () => {
    const strings = formatAttachmentMetadata(metadata);
    expect(strings['portals']).toBe('tcp://192.0.2.1:4420 tcp://[2001:db8::1]:4421');
    expect(parseAttachmentMetadata({ ...strings, 'some.other/key': 'x' })).toEqual(metadata);
  });

  test.each([
    ['hostNqn', 'nqn.2014-08.org.nvmexpress:uuid:1'],
    ['subsystemNqn', ''],
    ['subsystemNqn', 'nqn.2026-11.dev.varve:a,hostnqn=b'],
    ['namespaceUuid', 'x'],
    ['sizeBytes', '0'],
    ['sizeBytes', '1e9'],
    ['portals', ''],
    ['portals', '192.0.2.1:4420'],
    ['portals', 'tcp://a,b:4420'],
    ['portals', 'tcp://a:0'],
    ['portals', 'tcp://a:65536'],
    ['portals', Array.from({ length: 9 }, () => 'tcp://a:1').join(' ')],
    ['daemonEndpoint', ''],
  ])('%s of %j is refused by name', (key, value) => {
    const strings = { ...formatAttachmentMetadata(metadata), [key]: value };
    const read = () => parseAttachmentMetadata(strings);
    expect(read).toThrow(expect.objectContaining({ kind: 'invalid-argument', field: key }));
  });
});
