/** Commands as the fuzzer sends them: mostly what a host might send, with fields that are wrong now and then. */
import { DhchapHost } from '../../nvmf/auth/dhchap-host.ts';
import { DhchapGroup } from '../../nvmf/auth/dhchap-parameters.ts';
import { discoveryNqn } from '../../nvmf/wire-constants.ts';
import { connectCommand, type HostCommand } from '../nvme-initiator/host-pdu.ts';
import { fillConnect, scriptedHostNqn, scriptedNqn } from '../nvme/scripted-target.ts';
import type { SeededRandom } from '../seeded-random.ts';

const interesting = [
  0, 1, 2, 3, 7, 8, 15, 16, 255, 256, 511, 512, 1023, 4095, 0x7fff, 0xffff, 0x1_0000, 0x8000_0000,
  0xffff_fffe, 0xffff_ffff,
];
const adminOpcodes = [0x02, 0x02, 0x06, 0x06, 0x08, 0x09, 0x0a, 0x0a, 0x0c, 0x18, 0x18];
const ioOpcodes = [0x00, 0x01, 0x02, 0x05, 0x08, 0x09, 0x0c];
const logPages = [0x01, 0x02, 0x03, 0x04, 0x70, 0x05];
const features = [0x06, 0x07, 0x0b, 0x0f, 0x81, 0x02];
const blockBytes = 4096;
const securityProtocol = 0xe901_0100;

/** A number from all over its range. */
export function anyNumber(random: SeededRandom): number {
  return random.chance(0.7) ? random.pick(interesting) : random.next32();
}

/** A Connect, of an existing controller where there is one. */
export function fuzzConnect(
  random: SeededRandom,
  commandId: number,
  controllerIds: readonly number[],
): HostCommand {
  const isAdmin = controllerIds.length === 0 || random.chance(0.4);
  const wrong = random.chance(0.1);
  const connect = fillConnect({
    commandId,
    queueId: isAdmin ? 0 : random.between(1, 4),
    controllerId: isAdmin ? 0xffff : random.pick(controllerIds),
    entries: random.pick([2, 3, 8, 32, 128]),
    hasNoSqFlow: random.chance(0.3),
    subsystemNqn: random.chance(0.1) ? discoveryNqn : scriptedNqn,
    hostNqn: random.chance(0.05) ? 'nqn.2014-08.org.example:other' : scriptedHostNqn,
  });
  const command = connectCommand(connect);
  if (!wrong) return command;
  const data = Buffer.from(command.data!);
  data[random.below(data.length)] = random.below(256);
  return { ...command, data: data.subarray(0, random.pick([0, 512, 1023, 1024])) };
}

/** Steps of `setUpCommand`. */
export const setUpStepsMax = 6;

/** What brings a controller up, one step after the other. */
export function setUpCommand(commandId: number, step: number): HostCommand {
  const steps: readonly HostCommand[] = [
    { opcode: 0x7f, nsid: 4, commandId, dword11: 0x08 },
    { opcode: 0x7f, nsid: 0, commandId, dword11: 0x14, dword12: 0x46_0001 },
    { opcode: 0x06, commandId, dword10: 1, sglBytes: 4096 },
    { opcode: 0x09, commandId, dword10: 0x07, dword11: 0x3_0003 },
    { opcode: 0x09, commandId, dword10: 0x0b, dword11: 0x8000_0100 },
    { opcode: 0x0c, commandId },
  ];
  return steps[step % steps.length]!;
}

/** An I/O command within the volume, or a little beyond it. */
export function ioCommand(random: SeededRandom, commandId: number): HostCommand {
  const opcode = random.chance(0.95) ? random.pick(ioOpcodes) : random.below(256);
  const blocks = random.chance(0.8) ? random.between(1, 4) : random.pick([8, 64, 256, 257, 65_536]);
  const startLba = random.chance(0.9) ? random.below(512) : anyNumber(random);
  const control = random.pick([0, 0, 0x4000_0000, 0x0200_0000, 0x8000_0000]);
  const base: HostCommand = {
    opcode,
    commandId,
    nsid: random.chance(0.95) ? 1 : anyNumber(random),
    dword10: startLba,
    dword11: random.chance(0.97) ? 0 : anyNumber(random),
    dword12: (control | (blocks - 1)) >>> 0,
  };
  if (opcode === 0x09) return datasetManagement(random, base);
  const isWrite = opcode === 0x01 || opcode === 0x05;
  const lengthBytes = random.chance(0.95) ? blocks * blockBytes : anyNumber(random);
  if (isWrite && lengthBytes <= 8192 && random.chance(0.7)) {
    return { ...base, data: Buffer.alloc(lengthBytes, commandId) };
  }
  return { ...base, sglBytes: isWrite || opcode === 0x02 ? lengthBytes : 0 };
}

function datasetManagement(random: SeededRandom, base: HostCommand): HostCommand {
  const count = random.pick([1, 2, 256]);
  const data = Buffer.alloc(16 * count);
  for (let at = 0; at < data.length; at += 16) {
    data.writeUInt32LE(random.chance(0.9) ? random.below(64) : anyNumber(random), at + 4);
    data.writeUInt32LE(random.chance(0.95) ? random.below(448) : anyNumber(random), at + 8);
  }
  const dword10 = random.chance(0.95) ? count - 1 : random.below(256);
  return { ...base, dword10, dword11: random.pick([4, 4, 4, 0, 7]), dword12: 0, data };
}

/** An admin command with parameters of all kinds. */
export function adminCommand(random: SeededRandom, commandId: number): HostCommand {
  const opcode = random.chance(0.95) ? random.pick(adminOpcodes) : random.below(256);
  const nsid = random.pick([0, 1, 1, 2, 0xffff_ffff]);
  const base: HostCommand = { opcode, commandId, nsid, dword11: anyNumber(random) };
  switch (opcode) {
    case 0x02: {
      const dwords = random.pick([127, 255, 1023, 1, 0, 0xffff]);
      const dword10 = (random.pick(logPages) | (dwords << 16) | random.pick([0, 0x8000])) >>> 0;
      const sglBytes = random.chance(0.95) ? (dwords + 1) * 4 : anyNumber(random);
      const dword12 = random.pick([0, 0, 4, 1024, 3, 0xffff_fffc]);
      return { ...base, dword10, dword11: random.chance(0.95) ? 0 : 1, dword12, sglBytes };
    }
    case 0x06:
      return {
        ...base,
        dword10: random.pick([0, 1, 2, 3, 6, 5, 8, 0x10, 0x1c]),
        dword11: random.chance(0.9) ? 0 : anyNumber(random),
        sglBytes: random.pick([4096, 4096, 8192, 512, 0]),
      };
    case 0x09:
    case 0x0a:
      return { ...base, dword10: random.pick(features), sglBytes: random.pick([0, 0, 16, 4096]) };
    default:
      return base;
  }
}

/** A message of an authentication, or bytes that are none. */
export function authenticationCommand(random: SeededRandom, commandId: number): HostCommand {
  const dword10 = random.chance(0.95) ? securityProtocol : anyNumber(random);
  if (random.chance(0.5)) {
    const roomBytes = random.pick([4096, 4096, 64, 16, 0, 65_536]);
    return { opcode: 0x7f, nsid: 6, commandId, dword10, dword11: roomBytes, sglBytes: roomBytes };
  }
  const host = new DhchapHost({
    hostNqn: scriptedHostNqn,
    subsystemNqn: scriptedNqn,
    hostSecret: { hash: undefined, key: Buffer.alloc(32, 1) },
    groups: [DhchapGroup.NULL],
  });
  const data = host.negotiate();
  if (random.chance(0.5)) random.fillBytes(data.subarray(random.below(data.length)));
  return { opcode: 0x7f, nsid: 5, commandId, dword10, dword11: data.length, data };
}
