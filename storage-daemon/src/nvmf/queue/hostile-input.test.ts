/** What a host must not send, and what it gets for it: the connection survives wherever a status can answer. */
import { describe, expect, test } from '@jest/globals';

import {
  connectCommand,
  encodeCapsule,
  encodeH2cData,
  type HostCommand,
} from '../../testing/nvme-initiator/host-pdu.ts';
import {
  fillConnect,
  propertyGet,
  propertySet,
  ScriptedTarget,
} from '../../testing/nvme/scripted-target.ts';

const blockBytes = 4096;
const digests = { header: true, data: true };
const volumeBlocks = 1024;
const read = { opcode: 0x02, commandId: 5, nsid: 1, sglBytes: blockBytes };
const write = { opcode: 0x01, commandId: 5, nsid: 1 };
const block = Buffer.alloc(blockBytes, 1);

describe('PDUs that end the connection', () => {
  test.each<[string, (bytes: Buffer) => void, number, number]>([
    ...[0x01, 0x03, 0x05, 0x07, 0x08, 0x09, 0x0a, 0xff].map(
      (type): [string, (bytes: Buffer) => void, number, number] => [
        `type ${type}`,
        (bytes) => bytes.writeUInt8(type, 0),
        1,
        0,
      ],
    ),
    ['a wrong HLEN', (bytes) => bytes.writeUInt8(24, 2), 1, 2],
    ['PLEN 0', (bytes) => bytes.writeUInt32LE(0, 4), 1, 4],
    ['PLEN below HLEN', (bytes) => bytes.writeUInt32LE(71, 4), 1, 4],
    ['PLEN 0xffffffff', (bytes) => bytes.writeUInt32LE(0xffff_ffff, 4), 1, 4],
    ['more data than a capsule may have', (bytes) => bytes.writeUInt32LE(72 + 16_384, 4), 1, 4],
    ['PDO inside the header', (bytes) => bytes.writeUInt8(64, 3), 1, 3],
    ['PDO that is not aligned', (bytes) => bytes.writeUInt8(74, 3), 1, 3],
    ['PDO far behind the header', (bytes) => bytes.writeUInt8(252, 3), 1, 3],
    ['a digest flag that was not agreed', (bytes) => bytes.writeUInt8(1, 1), 1, 1],
    ['a data digest flag that was not agreed', (bytes) => bytes.writeUInt8(2, 1), 1, 1],
    ['less data than SGL1 says', (bytes) => bytes.writeUInt32LE(4092, 40), 1, 4],
    ['data although SGL1 says none', (bytes) => bytes.writeUInt8(0x5a, 47), 1, 4],
    ['data at an address', (bytes) => bytes.writeUInt32LE(4, 32), 6, 32],
    ['data with another SGL type', (bytes) => bytes.writeUInt8(0x10, 47), 6, 32],
  ])('%s', (_, change, fatalError, information) => {
    const target = new ScriptedTarget();
    const { io, admin } = target.connectIo();
    const bytes = encodeCapsule({ ...write, data: block });
    change(bytes);
    io.queue.receive(bytes);
    expect(io.term()).toEqual({ fatalError, information });
    expect(io.events.at(-1)).toBe('ended');
    expect(target.volume.calls).toEqual([]);
    // Others do not notice.
    expect(admin.ask(propertyGet(0x1c))).toMatchObject({ status: '0000', result: 1 });
  });

  test('the offending header goes along', () => {
    const { io } = new ScriptedTarget().connectIo();
    const bytes = encodeCapsule({ ...write, data: block });
    bytes[2] = 71;
    io.queue.receive(bytes);
    expect(io.take().at(-1)!.data.equals(bytes.subarray(0, 8))).toBe(true);
  });

  test('a wrong header digest tells what was received', () => {
    const { io } = new ScriptedTarget().connectIo({}, { digests });
    const bytes = encodeCapsule(read, digests);
    bytes.writeUInt32LE(0x1234_5678, 72);
    io.queue.receive(bytes);
    expect(io.term()).toEqual({ fatalError: 3, information: 0x1234_5678 });
  });

  test('a missing digest flag', () => {
    const { io } = new ScriptedTarget().connectIo({}, { digests });
    io.queue.receive(encodeCapsule(read));
    expect(io.term()).toEqual({ fatalError: 1, information: 1 });
  });

  test('more commands under way than the queue has entries', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo({ entries: 4 });
    for (let commandId = 0; commandId < 4; commandId++) io.send({ ...read, commandId });
    expect(io.queue.isOpen).toBe(true);
    io.send({ ...read, commandId: 9 });
    expect(io.queue.isOpen).toBe(false);
    target.volume.releaseAll();
    expect(io.events.at(-1)).toBe('ended');
  });

  test.each([24, 152])('H2CTermReq of %i bytes', (lengthBytes) => {
    const { io } = new ScriptedTarget().connectIo();
    const bytes = Buffer.alloc(lengthBytes);
    bytes[0] = 2;
    bytes[2] = 24;
    bytes.writeUInt32LE(lengthBytes, 4);
    io.queue.receive(bytes);
    // It is not answered.
    expect(io.take()).toEqual([]);
    expect(io.events.at(-1)).toBe('ended');
  });
});

describe('H2CData', () => {
  interface Fields {
    commandId: number;
    transferTag: number;
    offsetBytes: number;
    data: Uint8Array;
    isLast: boolean;
  }

  test.each<[string, (fields: Fields) => void, number, number]>([
    ['of an unknown transfer', (fields) => (fields.transferTag ^= 0x8000), 2, 10],
    ['of another command', (fields) => fields.commandId++, 1, 8],
    ['with a gap', (fields) => (fields.offsetBytes = 4096), 4, 0],
    ['beyond what was asked for', (fields) => (fields.data = Buffer.alloc(20_480)), 5, 0],
    ['with an early LAST', (fields) => (fields.data = block), 2, 0],
  ])('%s', (_, change, fatalError, information) => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    io.send({ ...write, sglBytes: 16_384, dword12: 3 });
    const transferTag = io.take()[0]!.header.readUInt16LE(10);
    const data = Buffer.alloc(16_384);
    const fields: Fields = { commandId: 5, transferTag, offsetBytes: 0, data, isLast: true };
    change(fields);
    io.queue.receive(encodeH2cData(fields));
    expect(io.term()).toEqual({ fatalError, information });
    expect(target.volume.calls).toEqual([]);
    expect(target.target.budget.usedBytes).toBe(0);
  });

  test('whose DATAL is not its data', () => {
    const { io } = new ScriptedTarget().connectIo();
    io.send({ ...write, sglBytes: 16_384, dword12: 3 });
    const transferTag = io.take()[0]!.header.readUInt16LE(10);
    const fields = { commandId: 5, transferTag, offsetBytes: 0, data: block, isLast: false };
    const bytes = encodeH2cData(fields);
    bytes.writeUInt32LE(0, 16);
    io.queue.receive(bytes);
    expect(io.term()).toEqual({ fatalError: 1, information: 16 });
  });

  test('of a transfer that is over', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    io.send({ ...write, sglBytes: blockBytes });
    const transferTag = io.take()[0]!.header.readUInt16LE(10);
    const fields = { commandId: 5, transferTag, offsetBytes: 0, data: block, isLast: true };
    io.queue.receive(encodeH2cData(fields));
    target.volume.releaseAll();
    expect(io.answers()).toMatchObject([{ status: '0000' }]);
    io.queue.receive(encodeH2cData(fields));
    expect(io.term()).toEqual({ fatalError: 2, information: 10 });
  });

  test('without LAST is complete all the same', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    io.send({ ...write, sglBytes: blockBytes });
    const transferTag = io.take()[0]!.header.readUInt16LE(10);
    io.queue.receive(
      encodeH2cData({ commandId: 5, transferTag, offsetBytes: 0, data: block, isLast: false }),
    );
    target.volume.releaseAll();
    expect(io.answers()).toMatchObject([{ status: '0000' }]);
  });
});

describe('wrong data digests', () => {
  test('in a capsule: a status that may be retried, and nothing is written', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo({}, { digests });
    const bytes = encodeCapsule({ ...write, data: block }, digests);
    bytes[bytes.length - 1]! ^= 1;
    io.queue.receive(bytes);
    expect(io.answers()).toMatchObject([{ commandId: 5, status: '0044' }]);
    expect(target.volume.calls).toEqual([]);
    expect(io.queue.isOpen).toBe(true);
  });

  test('in a transfer', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo({}, { digests });
    io.send({ ...write, sglBytes: 8192, dword12: 1 });
    const transferTag = io.take()[0]!.header.readUInt16LE(10);
    for (const offsetBytes of [0, blockBytes]) {
      const isLast = offsetBytes > 0;
      const fields = { commandId: 5, transferTag, offsetBytes, data: block, isLast };
      const bytes = encodeH2cData(fields, digests);
      if (!isLast) bytes[40]! ^= 1;
      io.queue.receive(bytes);
    }
    expect(io.answers()).toMatchObject([{ commandId: 5, status: '0044' }]);
    expect(target.volume.calls).toEqual([]);
  });
});

describe('I/O commands that are answered with a status', () => {
  test.each<[string, Partial<HostCommand>, string]>([
    ['PSDT 0', { flags: 0 }, '8004'],
    ['fused', { flags: 0x41 }, '8004'],
    ['an SGL type that is none', { sglType: 0x10 }, '8022'],
    ['in-capsule type for a read', { sglType: 0x01, sglBytes: 0, sglAddress: 8 }, '802c'],
    ['an unknown opcode', { opcode: 0x42 }, '8002'],
    ['reservations', { opcode: 0x0d }, '8002'],
    ['namespace 0', { nsid: 0 }, '8016'],
    ['another namespace', { nsid: 2 }, '8016'],
    ['all namespaces', { nsid: 0xffff_ffff }, '8016'],
    ['the block behind the last', { dword10: volumeBlocks }, '8100'],
    ['across the end', { dword10: volumeBlocks - 1, dword12: 1, sglBytes: 8192 }, '8100'],
    ['block 2^64 - 1', { dword10: 0xffff_ffff, dword11: 0xffff_ffff }, '8100'],
    ['more than MDTS', { dword12: 256, sglBytes: 257 * blockBytes }, '8004'],
    ['an SGL too short', { sglBytes: 512 }, '801e'],
    ['an SGL of 4 GiB', { sglBytes: 0xffff_f000 }, '801e'],
    ['property get on an I/O queue', { opcode: 0x7f, nsid: 4, sglBytes: 0 }, '8002'],
    ['authentication that nobody asked for', { opcode: 0x7f, nsid: 6 }, '8002'],
    ['disconnect', { opcode: 0x7f, nsid: 8, sglBytes: 0 }, '8002'],
  ])('%s', (_, changes, status) => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    expect(io.ask({ ...read, ...changes })).toMatchObject({ commandId: 5, status });
    expect(target.volume.calls).toEqual([]);
  });

  test('a write of 4 GiB asks for no data', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    expect(io.ask({ ...write, sglBytes: 0xffff_f000 }).status).toBe('801e');
    expect(target.target.budget.usedBytes).toBe(0);
  });

  test('in-capsule data of a refused command is consumed', () => {
    const { io } = new ScriptedTarget().connectIo();
    expect(io.ask({ ...write, nsid: 9, data: block }).status).toBe('8016');
    expect(io.ask({ ...write, nsid: 9, data: block }).status).toBe('8016');
  });

  test('the same command id twice at once', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    io.send(read);
    io.send(read);
    target.volume.releaseAll();
    expect(io.answers()).toMatchObject([{ commandId: 5 }, { commandId: 5 }]);
  });

  test.each<[string, number, Buffer, string]>([
    ['ranges that are not all there', 255, Buffer.alloc(16), '801e'],
    ['a range beyond the end', 0, rangeOf(volumeBlocks - 1, 2), '8100'],
    ['a range of 2^64 - 1', 0, Buffer.alloc(16, 0xff), '8100'],
  ])('dataset management with %s', (_, dword10, data, status) => {
    const { io } = new ScriptedTarget().connectIo();
    const command = { opcode: 0x09, commandId: 5, nsid: 1, dword10, dword11: 4, data };
    expect(io.ask(command).status).toBe(status);
  });

  test('dataset management judges all ranges before the first, and skips empty ones', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    const base = { opcode: 0x09, commandId: 5, nsid: 1, dword10: 2, dword11: 4 };
    const bad = Buffer.concat([rangeOf(0, 1), rangeOf(0, 0), rangeOf(volumeBlocks, 1)]);
    expect(io.ask({ ...base, data: bad }).status).toBe('8100');
    expect(target.volume.calls).toEqual([]);
    const good = Buffer.concat([rangeOf(0, 1), rangeOf(0, 0), rangeOf(8, 2)]);
    io.send({ ...base, data: good });
    target.volume.releaseAll();
    expect(io.answers()).toMatchObject([{ status: '0000' }]);
    expect(target.volume.calls).toEqual(['discard 0+4096', 'discard 32768+8192']);
    // Without "deallocate" there is nothing to do.
    expect(io.ask({ ...base, dword11: 3, data: good }).status).toBe('0000');
  });
});

describe('admin commands that are answered with a status', () => {
  test.each<[string, Partial<HostCommand>, string]>([
    ['create an I/O queue', { opcode: 0x05 }, '8002'],
    ['format', { opcode: 0x80 }, '8002'],
    ['disconnect', { opcode: 0x7f, nsid: 8 }, '8002'],
    ['a property that is none', { opcode: 0x7f, nsid: 4, dword11: 0x20 }, '8004'],
    ['a property of another size', { opcode: 0x7f, nsid: 4, dword11: 0x00 }, '8004'],
    ['a write of CAP', { opcode: 0x7f, nsid: 0, dword11: 0x00 }, '8004'],
    ['identify of an unknown kind', { opcode: 0x06, dword10: 0x10, sglBytes: 4096 }, '8004'],
    ['identify with little room', { opcode: 0x06, dword10: 1, sglBytes: 512 }, '801e'],
    ['identify of no namespace', { opcode: 0x06, nsid: 0, sglBytes: 4096 }, '8016'],
    ['identify of all namespaces', { opcode: 0x06, nsid: 0xffff_ffff, sglBytes: 4096 }, '8016'],
    ['a list behind all', { opcode: 0x06, nsid: 0xffff_fffe, dword10: 2, sglBytes: 4096 }, '8016'],
    ['a log of 16 GiB', { opcode: 0x02, dword10: 0xffff_0002, dword11: 0xffff }, '8004'],
    ['a log that is longer than its SGL', { opcode: 0x02, dword10: 0x007f_0002 }, '801e'],
    ['an unknown log', { opcode: 0x02, dword10: 0x007f_0007, sglBytes: 512 }, '8004'],
    ['the discovery log', { opcode: 0x02, dword10: 0x007f_0070, sglBytes: 512 }, '8004'],
    ['65536 queues', { opcode: 0x09, dword10: 7, dword11: 0xffff_ffff }, '8004'],
    ['unknown events', { opcode: 0x09, dword10: 0x0b, dword11: 0x4000_0000 }, '8004'],
    ['an unknown feature', { opcode: 0x09, dword10: 0x02 }, '8004'],
    ['write cache off', { opcode: 0x09, dword10: 0x06, dword11: 0 }, '8004'],
    ['a host identifier', { opcode: 0x09, dword10: 0x81 }, '8018'],
  ])('%s', (_, changes, status) => {
    const admin = new ScriptedTarget().connectAdmin();
    const base = { opcode: 0x06, commandId: 3, nsid: 1 };
    expect(admin.ask({ ...base, ...changes })).toMatchObject({ commandId: 3, status });
  });

  test('commands before the controller is enabled', () => {
    const admin = new ScriptedTarget().accept();
    admin.initialize();
    admin.ask(connectCommand(fillConnect({})));
    expect(admin.ask({ opcode: 0x06, commandId: 1, dword10: 1, sglBytes: 4096 }).status).toBe(
      '8018',
    );
    expect(admin.ask({ opcode: 0x18, commandId: 1 }).status).toBe('0000');
  });

  test.each([0x46_0081, 0x45_0001, 0x36_0001, 0x46_0061])(
    'CC 0x%s is not ours',
    (configuration) => {
      const admin = new ScriptedTarget().accept();
      admin.initialize();
      admin.ask(connectCommand(fillConnect({})));
      expect(admin.ask(propertySet(0x14, configuration)).status).toBe('0000');
      expect(admin.ask(propertyGet(0x1c)).result).toBe(2);
    },
  );

  test('keep alive of a controller without a timeout', () => {
    const admin = new ScriptedTarget().connectAdmin({ keepAliveMs: 0 });
    expect(admin.ask({ opcode: 0x18, commandId: 1 }).status).toBe('8034');
  });

  test('more event requests than allowed', () => {
    const admin = new ScriptedTarget().connectAdmin();
    for (let commandId = 1; commandId <= 4; commandId++) admin.send({ opcode: 0x0c, commandId });
    expect(admin.answers()).toEqual([]);
    expect(admin.ask({ opcode: 0x0c, commandId: 5 })).toMatchObject({ status: '820a' });
  });
});

test('a host that takes nothing is not read from, and goes on later', () => {
  const target = new ScriptedTarget();
  const { io } = target.connectIo();
  io.queue.setOutputBlocked(true);
  io.send(read);
  expect([io.events, target.volume.calls]).toEqual([['reading off'], []]);
  io.queue.setOutputBlocked(false);
  target.volume.releaseAll();
  expect(io.answers()).toMatchObject([{ commandId: 5, status: '0000' }]);
});

function rangeOf(startLba: number, blockCount: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(blockCount, 4);
  bytes.writeBigUInt64LE(BigInt(startLba), 8);
  return bytes;
}
