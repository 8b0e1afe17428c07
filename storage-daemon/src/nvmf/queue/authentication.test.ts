import { expect, test } from '@jest/globals';

import { DhchapHost } from '../auth/dhchap-host.ts';
import { DhchapGroup } from '../auth/dhchap-parameters.ts';
import { connectCommand } from '../../testing/nvme-initiator/host-pdu.ts';
import {
  fillConnect,
  propertyGet,
  propertySet,
  scriptedHostNqn,
  scriptedNqn,
  type ScriptedQueue,
  ScriptedTarget,
} from '../../testing/nvme/scripted-target.ts';

const secret = { hash: undefined, key: Buffer.alloc(32, 1) };
const protocol = 0xe901_0100;

function guarded(): ScriptedTarget {
  const target = new ScriptedTarget();
  target.secrets = { host: secret, controller: undefined };
  return target;
}

function connected(target: ScriptedTarget): ScriptedQueue {
  const queue = target.accept();
  queue.initialize();
  const { status, result } = queue.ask(connectCommand(fillConnect({})));
  // "Authentication transaction required", beside the controller id.
  expect([status, result]).toEqual(['0000', 0x2_0001]);
  return queue;
}

function send(queue: ScriptedQueue, data: Buffer): string {
  const command = { opcode: 0x7f, nsid: 5, commandId: 1, dword10: protocol, dword11: data.length };
  return queue.ask({ ...command, data }).status;
}

function receive(queue: ScriptedQueue, roomBytes = 4096) {
  const command = { opcode: 0x7f, nsid: 6, commandId: 2, dword10: protocol, dword11: roomBytes };
  return queue.ask({ ...command, sglBytes: roomBytes });
}

/** Goes through an exchange; returns how the host sees its end. */
function prove(queue: ScriptedQueue, key = secret.key): DhchapHost {
  const host = new DhchapHost({
    hostNqn: scriptedHostNqn,
    subsystemNqn: scriptedNqn,
    hostSecret: { hash: undefined, key },
    groups: [DhchapGroup.NULL],
  });
  let message: Buffer | undefined = host.negotiate();
  while (message) {
    expect(send(queue, message)).toBe('0000');
    message = host.answer(receive(queue).data);
  }
  return host;
}

test('until the host has proved itself, only that is allowed', () => {
  const queue = connected(guarded());
  expect(queue.queue.waitsFor).toBe('connect');
  expect(queue.ask(propertyGet(0x1c)).status).toBe('8322');
  expect(queue.ask({ opcode: 0x18, commandId: 1 }).status).toBe('8322');
  expect(prove(queue).state).toBe('done');
  expect(queue.queue.waitsFor).toBe('nothing');
  expect(queue.ask(propertySet(0x14, 0x46_0001)).status).toBe('0000');
});

test('a live queue may prove itself again, and works meanwhile', () => {
  const queue = connected(guarded());
  prove(queue);
  const host = new DhchapHost({
    hostNqn: scriptedHostNqn,
    subsystemNqn: scriptedNqn,
    hostSecret: secret,
    groups: [DhchapGroup.NULL],
  });
  send(queue, host.negotiate());
  expect(queue.ask(propertyGet(0x1c)).status).toBe('0000');
  send(queue, host.answer(receive(queue).data)!);
  host.answer(receive(queue).data);
  expect(host.state).toBe('done');
});

test('a wrong secret is told, then the connection ends', () => {
  const target = guarded();
  const queue = connected(target);
  expect(prove(queue, Buffer.alloc(32, 9)).state).toBe('failed');
  expect(queue.queue.isOpen).toBe(false);
  expect(target.openCount).toBe(0);
});

test('messages of wrong lengths and protocols', () => {
  const queue = connected(guarded());
  const base = { opcode: 0x7f, nsid: 5, commandId: 1, dword10: protocol };
  const data = Buffer.alloc(16);
  expect(queue.ask({ ...base, dword11: 12, data }).status).toBe('8004');
  expect(queue.ask({ ...base, dword10: 0, dword11: 16, data }).status).toBe('8004');
  expect(queue.ask({ ...base, dword11: 0x1_0004, sglBytes: 0x1_0004 }).status).toBe('8004');
  expect(receive(queue, 0).status).toBe('8004');
});

test('an I/O queue proves itself on its own', () => {
  const target = guarded();
  const admin = connected(target);
  prove(admin);
  admin.ask(propertySet(0x14, 0x46_0001));
  admin.ask({ opcode: 0x09, commandId: 7, dword10: 7, dword11: 0 });
  const io = target.accept();
  io.initialize();
  const answer = io.ask(connectCommand(fillConnect({ controllerId: 1, queueId: 1 })));
  expect(answer.result).toBe(0x2_0001);
  const flush = { opcode: 0x00, commandId: 3, nsid: 1 };
  expect(io.ask(flush).status).toBe('8322');
  prove(io);
  io.send(flush);
  target.volume.releaseAll();
  expect(io.answers()).toMatchObject([{ commandId: 3, status: '0000' }]);
});
