import { describe, expect, test } from '@jest/globals';

import { discoveryNqn } from '../wire-constants.ts';
import { connectCommand } from '../../testing/nvme-initiator/host-pdu.ts';
import {
  fillConnect,
  propertyGet,
  propertySet,
  scriptedHostNqn,
  scriptedNqn,
  ScriptedTarget,
} from '../../testing/nvme/scripted-target.ts';

const uuidHex = '00112233445566778899aabbccddeeff';
const identify = (cns: number, nsid = 0) => ({
  opcode: 0x06,
  commandId: 1,
  nsid,
  dword10: cns,
  sglBytes: 4096,
});
const getLog = (page: number, lengthBytes: number, flags = 0) => ({
  opcode: 0x02,
  commandId: 2,
  dword10: (page | flags | ((lengthBytes / 4 - 1) << 16)) >>> 0,
  sglBytes: lengthBytes,
});

test('properties are those that Linux connects to', () => {
  const admin = new ScriptedTarget().connectAdmin();
  const capabilities = admin.ask(propertyGet(0x00, true));
  expect([capabilities.result, capabilities.resultHigh]).toEqual([0x0f01_007f, 0x20]);
  expect(admin.ask(propertyGet(0x08)).result).toBe(0x0001_0400);
  expect(admin.ask(propertyGet(0x14)).result).toBe(0x0046_0001);
  expect(admin.ask(propertyGet(0x1c)).result).toBe(1);
});

describe('identify', () => {
  test('the controller', () => {
    const admin = new ScriptedTarget().connectAdmin();
    const { data } = admin.ask(identify(0x01));
    const text = (from: number, to: number) => data.toString('latin1', from, to);
    expect(text(4, 24)).toBe(uuidHex.slice(0, 20));
    expect(text(24, 64)).toBe('Varve volume'.padEnd(40));
    expect(text(64, 72)).toBe('1.2.3   ');
    const bytes = { 76: 3, 77: 8, 111: 1, 258: 3, 259: 3, 261: 4, 512: 0x66, 513: 0x44, 525: 7 };
    for (const [at, value] of Object.entries(bytes))
      expect([at, data[Number(at)]]).toEqual([at, value]);
    expect(data.readUInt16LE(78)).toBe(1);
    expect(data.readUInt32LE(80)).toBe(0x0001_0400);
    expect(data.readUInt32LE(92)).toBe(0x100);
    expect(data.readUInt16LE(320)).toBe(10);
    expect(data.readUInt16LE(514)).toBe(128);
    expect(data.readUInt32LE(516)).toBe(1024);
    expect(data.readUInt16LE(520)).toBe(0x8d);
    expect(data.readUInt32LE(536)).toBe(0x0010_0001);
    expect(text(768, 1024).replace(/\0+$/, '')).toBe(scriptedNqn);
    expect([data.readUInt32LE(1792), data.readUInt32LE(1796)]).toEqual([516, 1]);
    expect(data.readUInt16LE(1800)).toBe(0);
  });

  test('the namespace, its descriptors and the list of it', () => {
    const admin = new ScriptedTarget().connectAdmin();
    const { data } = admin.ask(identify(0x00, 1));
    expect([0, 8, 16].map((at) => data.readBigUInt64LE(at))).toEqual([1024n, 1024n, 1024n]);
    expect([data[30], data[33], data[99], data[130]]).toEqual([1, 9, 0, 12]);
    expect(data.toString('hex', 104, 120)).toBe(uuidHex);
    const descriptors = admin.ask(identify(0x03, 1)).data;
    expect(descriptors.toString('hex', 0, 44)).toBe(`03100000${uuidHex}02100000${uuidHex}00000000`);
    expect(admin.ask(identify(0x02)).data.readBigUInt64LE(0)).toBe(1n);
    expect(admin.ask(identify(0x02, 1)).data.readBigUInt64LE(0)).toBe(0n);
  });

  test('limits of commands: zeroing never exceeds what NLB can say', () => {
    const admin = new ScriptedTarget().connectAdmin();
    const { data } = admin.ask(identify(0x06));
    expect(2 ** data[1]!).toBeLessThanOrEqual(65_536);
    expect(data.readUInt32LE(4)).toBe(262_144);
    expect(admin.ask({ ...identify(0x06), dword11: 2 * 2 ** 24 }).status).toBe('8004');
  });
});

test('features: queues, events, keep-alive, write cache, host identifier', () => {
  const admin = new ScriptedTarget().connectAdmin();
  const get = (feature: number) => admin.ask({ opcode: 0x0a, commandId: 1, dword10: feature });
  const set = (feature: number, dword11: number) =>
    admin.ask({ opcode: 0x09, commandId: 1, dword10: feature, dword11 });
  expect(set(0x07, 0x007f_007f).result).toBe(0x000f_000f);
  expect(set(0x07, 0x0003_0001).result).toBe(0x0001_0001);
  expect(set(0x0b, 0x900).result).toBe(0x900);
  expect(get(0x0b).result).toBe(0x900);
  expect(set(0x0f, 7500).result).toBe(8000);
  expect(get(0x0f).result).toBe(8000);
  expect(get(0x06).result).toBe(1);
  const identifier = { opcode: 0x0a, commandId: 1, dword10: 0x81, dword11: 1, sglBytes: 16 };
  expect(admin.ask(identifier).data.toString('hex')).toBe('11111111222233334444555555555555');
});

test('the number of queues is settled once there are some', () => {
  const { admin } = new ScriptedTarget().connectIo();
  expect(admin.ask({ opcode: 0x09, commandId: 1, dword10: 7, dword11: 0 }).status).toBe('8018');
});

test('log pages: health that alarms nobody, firmware, parts of a page', () => {
  const admin = new ScriptedTarget().connectAdmin();
  const smart = admin.ask(getLog(0x02, 512)).data;
  expect([smart[0], smart.readUInt16LE(1), smart[3]]).toEqual([0, 310, 100]);
  expect(admin.ask(getLog(0x03, 512)).data.toString('latin1', 8, 16)).toBe('1.2.3   ');
  const part = admin.ask({ ...getLog(0x02, 8), dword12: 4 });
  expect(part.data.equals(smart.subarray(4, 12))).toBe(true);
  const last = admin.ask({ ...getLog(0x02, 8), dword12: 508 });
  expect(last.data.equals(Buffer.concat([smart.subarray(508), Buffer.alloc(4)]))).toBe(true);
  expect(admin.ask({ ...getLog(0x02, 8), dword12: 516 }).status).toBe('8004');
  expect(admin.ask({ ...getLog(0x02, 8), dword12: 2 }).status).toBe('8004');
});

describe('asynchronous events', () => {
  const event = { opcode: 0x0c, commandId: 0x1f };

  test('are told once until the host has read their log page, and wait for a request', () => {
    const admin = new ScriptedTarget().connectAdmin();
    const controller = admin.queue.controller!;
    admin.ask({ opcode: 0x09, commandId: 1, dword10: 0x0b, dword11: 0x100 });
    controller.namespaceChanged();
    admin.send(event);
    expect(admin.answers()).toMatchObject([{ commandId: 0x1f, status: '0000', result: 0x4_0002 }]);
    controller.namespaceChanged();
    admin.send(event);
    expect(admin.answers()).toEqual([]);
    // Retained: nothing changes.
    expect(admin.ask(getLog(0x04, 4096, 0x8000)).data.readUInt32LE(0)).toBe(1);
    controller.namespaceChanged();
    expect(admin.answers()).toEqual([]);
    expect(admin.ask(getLog(0x04, 4096)).data.readUInt32LE(0)).toBe(1);
    expect(admin.ask(getLog(0x04, 4096)).data.readUInt32LE(0)).toBe(0);
    controller.namespaceChanged();
    expect(admin.answers()).toMatchObject([{ commandId: 0x1f, result: 0x4_0002 }]);
  });

  test('that the host has not enabled are not sent', () => {
    const admin = new ScriptedTarget().connectAdmin();
    admin.send(event);
    admin.queue.controller!.namespaceChanged();
    expect(admin.answers()).toEqual([]);
  });

  test('of a host that goes are dropped without an answer', () => {
    const admin = new ScriptedTarget().connectAdmin();
    admin.send(event);
    admin.ask(propertySet(0x14, 0x46_0000));
    expect(admin.answers()).toEqual([]);
    expect(admin.ask(propertyGet(0x1c)).result).toBe(0);
  });
});

describe('the end of a controller', () => {
  const write = { opcode: 0x01, commandId: 5, nsid: 1, data: Buffer.alloc(4096, 1) };

  test('a reset is complete when nothing runs on the I/O queues', () => {
    const target = new ScriptedTarget();
    const { admin, io } = target.connectIo();
    io.send(write);
    admin.ask(propertySet(0x14, 0x46_0000));
    expect(io.events).toEqual([expect.stringContaining('disconnect')]);
    expect(admin.ask(propertyGet(0x1c)).result).toBe(1);
    target.volume.releaseAll();
    expect(admin.ask(propertyGet(0x1c)).result).toBe(0);
    expect(admin.queue.isOpen).toBe(true);
    admin.ask(propertySet(0x14, 0x46_0001));
    expect(admin.ask(propertyGet(0x1c)).result).toBe(1);
  });

  test('a shutdown is complete when all is durable', () => {
    const target = new ScriptedTarget();
    const { admin, io } = target.connectIo();
    io.send(write);
    admin.ask(propertySet(0x14, 0x46_4001));
    expect(admin.ask(propertyGet(0x1c)).result & 0xc).toBe(0x4);
    target.volume.releaseAll();
    expect(target.volume.calls).toEqual(['write 0+4096', 'flush']);
    expect(admin.ask(propertyGet(0x1c)).result & 0xc).toBe(0x8);
  });

  test('the admin queue takes all others along, an I/O queue only itself', () => {
    const target = new ScriptedTarget();
    const { admin, io } = target.connectIo();
    io.queue.connectionLost();
    expect(admin.queue.isOpen).toBe(true);
    expect(target.openCount).toBe(1);
    const again = target.accept();
    again.initialize();
    again.ask(connectCommand(fillConnect({ controllerId: 1, queueId: 1 })));
    again.send(write);
    admin.queue.connectionLost();
    expect(again.queue.isOpen).toBe(false);
    // The volume is held as long as the write runs.
    expect([target.openCount, target.target.controllerCount]).toEqual([1, 1]);
    target.volume.releaseAll();
    expect([target.openCount, target.target.controllerCount]).toEqual([0, 0]);
  });

  test('a fence answers after the last write that was received', async () => {
    const target = new ScriptedTarget();
    const { admin, io } = target.connectIo();
    io.send(write);
    let isFenced = false;
    const fence = target.target.end('fenced', ({ host }) => host.nqn === scriptedHostNqn);
    const fenced = fence.then(() => (isFenced = true));
    await new Promise(setImmediate);
    expect([isFenced, admin.queue.isOpen, io.queue.isOpen]).toEqual([false, false, false]);
    target.volume.releaseAll();
    await fenced;
    expect(isFenced).toBe(true);
    expect(io.answers()).toEqual([]);
  });

  test('eviction of the volume ends it', () => {
    const target = new ScriptedTarget();
    const { admin, io } = target.connectIo();
    target.evict('the volume is reverted');
    expect([admin.queue.isOpen, io.queue.isOpen, target.openCount]).toEqual([false, false, 0]);
  });
});

describe('discovery', () => {
  const connectDiscovery = (target: ScriptedTarget, hostNqn = scriptedHostNqn) =>
    target.connectAdmin({ subsystemNqn: discoveryNqn, hostNqn, keepAliveMs: 0 });

  test('lists what the host may attach, at the address that it came by', () => {
    const admin = connectDiscovery(new ScriptedTarget());
    expect(admin.ask(identify(0x01)).data[111]).toBe(2);
    const { data } = admin.ask(getLog(0x70, 2048));
    expect(data.readBigUInt64LE(8)).toBe(1n);
    const entry = data.subarray(1024);
    expect([...entry.subarray(0, 4)]).toEqual([3, 1, 2, 6]);
    expect([entry.readUInt16LE(6), entry.readUInt16LE(8)]).toEqual([0xffff, 32]);
    expect(entry.toString('latin1', 32, 64)).toBe('4420'.padEnd(32));
    expect(entry.toString('latin1', 256, 512).replace(/\0+$/, '')).toBe(scriptedNqn);
    expect(entry.toString('latin1', 512, 768)).toBe('192.0.2.1'.padEnd(256));
    // In pieces, with the same generation.
    const piece = admin.ask({ ...getLog(0x70, 1024), dword12: 1024 });
    expect(piece.data.equals(entry)).toBe(true);
    expect(admin.ask(getLog(0x70, 8)).data.equals(data.subarray(0, 8))).toBe(true);
  });

  test('has no namespaces and no I/O queues', () => {
    const target = new ScriptedTarget();
    const admin = connectDiscovery(target, 'nqn.2014-08.org.nvmexpress:uuid:someone');
    expect(admin.ask(getLog(0x70, 1024)).data.readBigUInt64LE(8)).toBe(0n);
    expect(admin.ask(identify(0x02)).status).toBe('8004');
    expect(admin.ask({ opcode: 0x09, commandId: 1, dword10: 7 }).status).toBe('8004');
    const io = target.accept();
    io.initialize();
    const connect = fillConnect({
      subsystemNqn: discoveryNqn,
      hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:someone',
      controllerId: 1,
      queueId: 1,
    });
    expect(io.ask(connectCommand(connect))).toMatchObject({ status: '8304', result: 42 });
  });

  test('tells a host that stays when the list changes', () => {
    const target = new ScriptedTarget();
    const admin = connectDiscovery(target);
    admin.ask({ opcode: 0x09, commandId: 1, dword10: 0x0b, dword11: 0x8000_0000 });
    admin.send({ opcode: 0x0c, commandId: 9 });
    target.target.discoveryChanged();
    expect(admin.answers()).toMatchObject([{ commandId: 9, result: 0x70_f002 }]);
  });
});
