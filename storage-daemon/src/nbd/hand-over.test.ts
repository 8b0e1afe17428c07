/** A negotiation that one thread begins and another goes on with. */
import { describe, expect, test } from '@jest/globals';

import { nbdBufferClasses, nbdInputBytes, nbdOutputBatchBytes } from '../limits.ts';
import { pack, packInfoRequest, packMetaRequest, packOption } from '../testing/nbd-messages.ts';
import { HeldVolume } from '../testing/scripted-nbd-session.ts';
import type { NbdExport, NbdExports } from './exports.ts';
import { IoBufferPool } from './io-buffer.ts';
import type { NbdAgreedOptions } from './negotiation.ts';
import { OutputBatch } from './output-batch.ts';
import { NbdSession } from './session.ts';

const found: NbdExport = { name: 'volume/a', description: '', sizeBytes: 4096, isReadOnly: false };
const unknown = { refused: 'unknown', message: 'there is none' } as const;

class Thread {
  readonly session: NbdSession;
  readonly events: string[] = [];
  left: { agreed: NbdAgreedOptions; bytes: Buffer } | undefined;
  readonly #buffers = new IoBufferPool(nbdBufferClasses, (size) => Buffer.alloc(size));

  constructor(open: NbdExports['open'], agreed?: NbdAgreedOptions) {
    this.session = new NbdSession({
      exports: { list: () => [found], describe: () => found, open },
      openedVolume: () => new HeldVolume(4096),
      buffers: this.#buffers,
      inputBytes: Buffer.alloc(nbdInputBytes),
      agreed,
      actions: {
        outputReady: () => undefined,
        setReading: () => undefined,
        disconnect: (violation) => void this.events.push(`disconnect ${violation ?? 'cleanly'}`),
        elsewhere: (name, agreedOptions, bytes) => {
          this.events.push(`elsewhere ${name}`);
          this.left = { agreed: agreedOptions, bytes };
        },
        ended: () => void this.events.push('ended'),
      },
    });
    this.session.start();
  }

  /** What it has to send now, in hexadecimal. */
  takeOutput(): string {
    const batch = new OutputBatch(Buffer.alloc(nbdOutputBatchBytes));
    this.session.takeOutput(batch);
    const pieces = batch.pieces
      .slice(0, batch.pieceCount)
      .map(({ bytes, start, lengthBytes }) => bytes.subarray(start, start + lengthBytes));
    const output = Buffer.concat(pieces).toString('hex');
    batch.clear(this.#buffers);
    return output;
  }
}

const elsewhere = () => ({ elsewhere: 'volume/a' });
const options = Buffer.concat([
  pack([4, 3]),
  packOption(8),
  packOption(10, packMetaRequest('volume/a', 'base:allocation')),
]);

describe('an export that is elsewhere', () => {
  test.each([
    ['GO', packOption(7, packInfoRequest('volume/a'))],
    ['EXPORT_NAME', packOption(1, Buffer.from('volume/a'))],
  ])('is opened there by %s, with what was agreed on, and answered as if it were here', (_, go) => {
    const whole = new Thread(() => found);
    whole.session.receive(Buffer.concat([options, go]));

    const front = new Thread(elsewhere);
    const more = pack([4, 0x25609513], [2, 0]);
    front.session.receive(Buffer.concat([options, go, more]));
    expect(front.events).toEqual(['elsewhere volume/a', 'ended']);
    expect(front.left).toEqual({
      agreed: { clientFlags: 3, hasStructuredReplies: true, allocationFor: 'volume/a' },
      bytes: Buffer.concat([go, more]),
    });
    const { agreed, bytes } = front.left!;
    const owner = new Thread(() => found, agreed);
    owner.session.receive(bytes);
    expect(owner.session.isNegotiating).toBe(false);
    expect(front.takeOutput() + owner.takeOutput()).toBe(whole.takeOutput());
  });

  test('that is gone meanwhile is refused, and the connection ends', () => {
    const front = new Thread(elsewhere);
    front.session.receive(Buffer.concat([options, packOption(7, packInfoRequest('volume/a'))]));
    const owner = new Thread(() => unknown, front.left!.agreed);
    owner.session.receive(front.left!.bytes);
    expect(owner.takeOutput()).toContain(Buffer.from(unknown.message).toString('hex'));
    expect(owner.events).toEqual(['disconnect cleanly', 'ended']);
  });
});
