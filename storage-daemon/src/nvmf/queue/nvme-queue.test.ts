import { describe, expect, test } from '@jest/globals';

import {
  connectCommand,
  encodeCapsule,
  encodeH2cData,
  encodeIcReq,
} from '../../testing/nvme-initiator/host-pdu.ts';
import {
  fillConnect,
  propertyGet,
  propertySet,
  ScriptedTarget,
} from '../../testing/nvme/scripted-target.ts';
import { nvmeQueueDataBytesMax } from '../../limits.ts';
import { IoOpcode } from '../wire-constants.ts';

const blockBytes = 4096;
const read = { opcode: 0x02, nsid: 1 };
const write = { opcode: 0x01, nsid: 1 };

describe('initialization', () => {
  test('ICResp leaves in one piece, echoes the digests and asks for no padding', () => {
    const queue = new ScriptedTarget().accept();
    queue.queue.receive(encodeIcReq({ header: true, data: true }));
    expect(queue.sent).toHaveLength(1);
    const [answer] = queue.sent;
    expect(answer).toHaveLength(128);
    expect(answer!.subarray(0, 16).toString('hex')).toBe('01008000800000000000000300001000');
    expect(answer!.subarray(16).every((byte) => byte === 0)).toBe(true);
  });

  test('nothing is sent before the ICReq', () => {
    expect(new ScriptedTarget().accept().sent).toEqual([]);
  });

  test.each<[string, (bytes: Buffer) => void, number, number]>([
    ['another length in PLEN', (bytes) => bytes.writeUInt32LE(129, 4), 1, 4],
    ['another HLEN', (bytes) => bytes.writeUInt8(72, 2), 1, 2],
    ['a format version', (bytes) => bytes.writeUInt16LE(1, 8), 1, 8],
    ['HPDA out of range', (bytes) => bytes.writeUInt8(32, 10), 1, 10],
    ['HPDA that wants padding', (bytes) => bytes.writeUInt8(1, 10), 6, 10],
    ['a command instead', (bytes) => bytes.writeUInt8(4, 0), 2, 0],
  ])('ICReq with %s', (_, change, fatalError, information) => {
    const queue = new ScriptedTarget().accept();
    const bytes = encodeIcReq();
    change(bytes);
    queue.queue.receive(bytes);
    expect(queue.term()).toEqual({ fatalError, information });
    expect(queue.events).toEqual([expect.stringContaining('disconnect '), 'ended']);
  });

  test('reserved digest bits are ignored', () => {
    const queue = new ScriptedTarget().accept();
    const bytes = encodeIcReq();
    bytes[11] = 0xf1;
    queue.queue.receive(bytes);
    expect(queue.sent[0]![11]).toBe(1);
  });

  test('a second ICReq is a sequence error', () => {
    const queue = new ScriptedTarget().accept();
    queue.initialize();
    queue.queue.receive(encodeIcReq());
    expect(queue.term()).toEqual({ fatalError: 2, information: 0 });
  });
});

describe('Connect', () => {
  test('gives a controller id and takes the queue over', () => {
    const queue = new ScriptedTarget().accept();
    queue.initialize();
    const answer = queue.ask(connectCommand(fillConnect({ commandId: 0xbeef })));
    expect(answer).toMatchObject({ commandId: 0xbeef, status: '0000', result: 1, sqHead: 1 });
    expect(queue.queue.controller?.keepAliveMs).toBe(5000);
  });

  test('confirms that flow control is off, and says nothing of it later', () => {
    const queue = new ScriptedTarget().accept();
    queue.initialize();
    const connect = fillConnect({ hasNoSqFlow: true });
    expect(queue.ask(connectCommand(connect)).sqHead).toBe(0xffff);
    expect(queue.ask(propertyGet(0x1c)).sqHead).toBe(0);
  });

  test('the head of the submission queue goes round its entries', () => {
    const admin = new ScriptedTarget().connectAdmin({ entries: 3 });
    const heads = [1, 2, 3, 4].map(() => admin.ask(propertyGet(0x1c)).sqHead);
    // Connect and the write to CC were first.
    expect(heads).toEqual([0, 1, 2, 0]);
  });

  test.each<[string, Parameters<typeof fillConnect>[0], string, number]>([
    ['an unknown subsystem', { subsystemNqn: 'nqn.2026-11.dev.varve:volume:x' }, '8304', 0x10100],
    ['an empty subsystem', { subsystemNqn: '' }, '8304', 0x10100],
    ['an endless subsystem', { subsystemNqn: 'n'.repeat(300) }, '8304', 0x10100],
    ['a host that may not', { hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:other' }, '8308', 0],
    ['no host', { hostNqn: '' }, '8304', 0x10200],
    ['a controller id', { controllerId: 5 }, '8304', 0x10010],
    ['a queue of one entry', { entries: 1 }, '8304', 44],
    ['a queue too long', { entries: 129 }, '8304', 44],
    ['an I/O queue of no controller', { queueId: 1, controllerId: 5 }, '8304', 0x10010],
  ])('of %s', (_, connect, status, result) => {
    const target = new ScriptedTarget();
    const queue = target.accept();
    queue.initialize();
    expect(queue.ask(connectCommand(fillConnect(connect)))).toMatchObject({ status, result });
    // The connection stays, and may try again.
    expect(queue.ask(connectCommand(fillConnect({}))).status).toBe('0000');
    expect(target.openCount).toBe(1);
  });

  test('record format, short data and bytes that are no text', () => {
    const queue = new ScriptedTarget().accept();
    queue.initialize();
    const connect = connectCommand(fillConnect({}));
    expect(queue.ask({ ...connect, dword10: 1 })).toMatchObject({ status: '8300', result: 40 });
    const short = { ...connect, data: connect.data!.subarray(0, 512) };
    expect(queue.ask(short).status).toBe('801e');
    const data = Buffer.from(connect.data!);
    data[512] = 0xff;
    expect(queue.ask({ ...connect, data })).toMatchObject({ status: '8304', result: 0x10200 });
  });

  test('a busy target may be asked again: no "do not retry"', () => {
    const target = new ScriptedTarget();
    target.refusal = 'busy';
    const queue = target.accept();
    queue.initialize();
    expect(queue.ask(connectCommand(fillConnect({}))).status).toBe('0302');
  });

  test('other commands before it, and a second one', () => {
    const queue = new ScriptedTarget().accept();
    queue.initialize();
    expect(queue.ask(propertyGet(0)).status).toBe('8018');
    expect(queue.ask({ opcode: 0x06, commandId: 1 }).status).toBe('8018');
    expect(queue.ask(connectCommand(fillConnect({}))).status).toBe('0000');
    expect(queue.ask(connectCommand(fillConnect({}))).status).toBe('8018');
  });

  test('of an I/O queue: id, order, use, and whose controller it is', () => {
    const target = new ScriptedTarget();
    const admin = target.accept();
    admin.initialize();
    admin.ask(connectCommand(fillConnect({})));
    const connect = { queueId: 1, controllerId: 1 };
    const io = target.accept();
    io.initialize();
    const ask = (changes: Parameters<typeof fillConnect>[0]) =>
      io.ask(connectCommand(fillConnect({ ...connect, ...changes })));
    expect(ask({}).status).toBe('8018');
    admin.ask(propertySet(0x14, 0x46_0001));
    expect(ask({})).toMatchObject({ status: '8304', result: 42 });
    admin.ask({ opcode: 0x09, commandId: 7, dword10: 7, dword11: 0x1_0001 });
    expect(ask({ queueId: 3 })).toMatchObject({ status: '8304', result: 42 });
    expect(ask({ hostId: Buffer.alloc(16, 9) })).toMatchObject({ status: '8304', result: 0x10010 });
    expect(ask({})).toMatchObject({ status: '0000', result: 1 });
    const second = target.accept();
    second.initialize();
    expect(second.ask(connectCommand(fillConnect(connect))).status).toBe('8018');
  });

  test('waits for what still runs for an older controller of the same host', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    io.send({ ...write, commandId: 1, data: Buffer.alloc(blockBytes, 1) });
    const again = target.accept();
    again.initialize();
    again.send(connectCommand(fillConnect({})));
    expect(again.answers()).toEqual([]);
    target.volume.releaseAll();
    expect(again.answers()).toMatchObject([{ status: '0000', result: 2 }]);
    // The older one is another path, perhaps.
    expect(io.queue.isOpen).toBe(true);
  });
});

describe('reads and writes', () => {
  test('a read: C2HData with LAST, then its completion, in one write', () => {
    const target = new ScriptedTarget();
    target.volume.content.fill(0xab, blockBytes, 2 * blockBytes);
    const { io } = target.connectIo();
    const before = io.sent.length;
    io.send({ ...read, commandId: 0x0b, sglBytes: blockBytes, dword10: 1 });
    target.volume.releaseAll();
    expect(io.sent.length - before).toBe(1);
    expect(io.sent.at(-1)!.subarray(0, 24).toString('hex')).toBe(
      '07041818181000000b000000000000000010000000000000',
    );
    expect(io.answers()).toMatchObject([
      { commandId: 0x0b, status: '0000', data: Buffer.alloc(blockBytes, 0xab) },
    ]);
  });

  test('with flow control off the data says itself that the read succeeded', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo(
      { hasNoSqFlow: true },
      { digests: { header: true, data: true } },
    );
    io.send({ ...read, commandId: 0x51, sglBytes: blockBytes });
    target.volume.releaseAll();
    const bytes = io.sent.at(-1)!;
    expect(bytes.subarray(0, 28).toString('hex')).toBe(
      '070f181c201000005100000000000000001000000000000090c0e893',
    );
    expect(bytes.subarray(-4).toString('hex')).toBe('8941f998');
  });

  test('a write in its capsule, durable at once', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    const data = Buffer.alloc(blockBytes, 7);
    io.send({ ...write, commandId: 3, dword10: 2, dword12: 0x4000_0000, data });
    target.volume.releaseAll();
    expect(target.volume.calls).toEqual(['write 8192+4096 fua']);
    expect(io.answers()).toMatchObject([{ commandId: 3, status: '0000' }]);
    expect(target.volume.content.subarray(8192, 8192 + blockBytes).equals(data)).toBe(true);
  });

  test('a write by R2T as its golden PDUs say', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    const data = Buffer.alloc(65_536, 9);
    io.send({ ...write, commandId: 0x53, sglBytes: data.length, dword12: 15 });
    const [r2t] = io.take();
    const tag = r2t!.header.readUInt16LE(10);
    expect(r2t!.header.toString('hex')).toBe(
      `09001800180000005300${r2t!.header.toString('hex', 10, 12)}000000000000010000000000`,
    );
    for (const offsetBytes of [0, 32_768]) {
      const piece = data.subarray(offsetBytes, offsetBytes + 32_768);
      const fields = { commandId: 0x53, transferTag: tag, offsetBytes, data: piece };
      expect(target.volume.calls).toEqual([]);
      io.queue.receive(encodeH2cData({ ...fields, isLast: offsetBytes > 0 }));
    }
    target.volume.releaseAll();
    expect(target.volume.calls).toEqual(['write 0+65536']);
    expect(io.answers()).toMatchObject([{ commandId: 0x53, status: '0000' }]);
  });

  test('one R2T after the other where a PDU may carry less', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo({}, { h2cDataBytesMax: 8192 });
    io.send({ ...write, commandId: 1, sglBytes: 16_384, dword12: 3 });
    for (const offsetBytes of [0, 8192]) {
      const [r2t, ...others] = io.take();
      expect(others).toEqual([]);
      expect(r2t!.header.readUInt32LE(12)).toBe(offsetBytes);
      expect(r2t!.header.readUInt32LE(16)).toBe(8192);
      const transferTag = r2t!.header.readUInt16LE(10);
      const data = Buffer.alloc(8192, 5);
      io.queue.receive(
        encodeH2cData({ commandId: 1, transferTag, offsetBytes, data, isLast: true }),
      );
    }
    target.volume.releaseAll();
    expect(io.answers()).toMatchObject([{ status: '0000' }]);
    expect(target.volume.content.subarray(0, 16_384).every((byte) => byte === 5)).toBe(true);
  });

  test('transfers of two commands may interleave', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    for (const commandId of [1, 2]) {
      io.send({ ...write, commandId, sglBytes: 8192, dword10: commandId * 2, dword12: 1 });
    }
    const tags = io.take().map(({ header }) => header.readUInt16LE(10));
    for (const offsetBytes of [0, blockBytes]) {
      for (const commandId of [1, 2]) {
        const fields = { commandId, transferTag: tags[commandId - 1]!, offsetBytes };
        const data = Buffer.alloc(blockBytes, commandId);
        io.queue.receive(encodeH2cData({ ...fields, data, isLast: offsetBytes > 0 }));
      }
    }
    target.volume.releaseAll();
    expect(io.answers()).toMatchObject([{ commandId: 1 }, { commandId: 2 }]);
    expect(target.volume.content[3 * blockBytes]).toBe(1);
    expect(target.volume.content[5 * blockBytes]).toBe(2);
  });

  test('the same bytes mean the same wherever they are cut', () => {
    const bytes = Buffer.concat([
      encodeIcReq(),
      encodeCapsule(connectCommand(fillConnect({}))),
      encodeCapsule(propertySet(0x14, 0x46_0001)),
      encodeCapsule({ opcode: 0x06, commandId: 9, sglBytes: 4096, dword10: 1 }),
    ]);
    const sentOf = (pieceBytes: number): string => {
      const queue = new ScriptedTarget().accept();
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        queue.queue.receive(Buffer.from(bytes.subarray(at, at + pieceBytes)));
      }
      return Buffer.concat(queue.sent).toString('hex');
    };
    const whole = sentOf(bytes.length);
    for (const pieceBytes of [1, 2, 3, 7, 8, 63, 64, 100, 1000]) {
      expect(sentOf(pieceBytes)).toBe(whole);
    }
  });

  test('a host that sends none of what it was asked for is noticed, whatever else it sends', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    io.send({ ...write, commandId: 1, sglBytes: 8192, dword12: 1 });
    const transferTag = io.take()[0]!.header.readUInt16LE(10);
    const mark = io.queue.progressMark;
    expect(io.queue.waitsFor).toBe('data');
    io.send({ ...write, commandId: 2, data: Buffer.alloc(blockBytes) });
    expect(io.queue.progressMark).toBe(mark);
    const data = Buffer.alloc(blockBytes);
    const fields = { commandId: 1, transferTag, offsetBytes: 0, data, isLast: false };
    io.queue.receive(encodeH2cData(fields));
    expect(io.queue.progressMark).not.toBe(mark);
    io.queue.receive(encodeH2cData({ ...fields, offsetBytes: blockBytes, isLast: true }));
    expect(io.queue.waitsFor).toBe('nothing');
  });

  test.each([
    ['Verify', IoOpcode.VERIFY, 256],
    ['Compare', IoOpcode.COMPARE, 2],
  ])('%s takes room for what it reads, and waits where there is none', (_, opcode, blockCount) => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    const scratchBytes = blockCount * blockBytes;
    const data = Buffer.alloc(opcode === IoOpcode.COMPARE ? scratchBytes : 0);
    const commands = Math.min(30, nvmeQueueDataBytesMax / (scratchBytes + data.length) + 2);
    for (let commandId = 1; commandId <= commands; commandId++) {
      io.send({ ...write, opcode, commandId, data, dword12: blockCount - 1 });
    }
    const { usedBytes } = target.target.budget;
    expect(usedBytes).toBe(target.volume.calls.length * (scratchBytes + data.length));
    expect(usedBytes).toBeGreaterThan(0);
    expect(usedBytes).toBeLessThanOrEqual(nvmeQueueDataBytesMax);
  });

  test('nothing of a write lands whose data has not all come', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    io.send({ ...write, commandId: 1, sglBytes: 8192, dword12: 1 });
    const transferTag = io.take()[0]!.header.readUInt16LE(10);
    const data = Buffer.alloc(blockBytes, 1);
    const fields = { commandId: 1, transferTag, offsetBytes: 0, data, isLast: false };
    io.queue.receive(encodeH2cData(fields));
    io.queue.connectionLost();
    expect(target.volume.calls).toEqual([]);
    expect(io.events).toEqual(['ended']);
    expect(target.target.budget.usedBytes).toBe(0);
  });

  test('a lost connection is over when the last command that runs is', () => {
    const target = new ScriptedTarget();
    const { io } = target.connectIo();
    io.send({ ...write, commandId: 1, data: Buffer.alloc(blockBytes, 1) });
    io.queue.connectionLost();
    expect(io.events).toEqual([]);
    target.volume.releaseAll();
    expect(io.events).toEqual(['ended']);
    expect(io.answers()).toEqual([]);
  });
});
