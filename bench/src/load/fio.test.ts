import { describe, expect, test } from '@jest/globals';

import { fioArguments, type FioLoad, meanIops, parseFioOutput } from './fio.ts';

const load: FioLoad = { rw: 'randread', blockBytes: 4096, queueDepth: 32, jobs: 4 };

function fioOutput(error: number): string {
  const idle = { iops: 0, total_ios: 0, bw_bytes: 0, clat_ns: { min: 0 } };
  const write = {
    iops: 1000.5,
    total_ios: 2001,
    bw_bytes: 4 * 2 ** 20,
    clat_ns: { percentile: { '99.000000': 1, '99.900000': 2_500_000 } },
  };
  return `fio: a note\n${JSON.stringify({ jobs: [{ error, read: idle, write }] })}`;
}

describe('parseFioOutput()', () => {
  test('takes the direction that moved something, whatever stands before the JSON', () => {
    expect(parseFioOutput(fioOutput(0))).toEqual({
      iops: 1000.5,
      requests: 2001,
      mebibytesPerSecond: 4,
      p999Ms: 2.5,
    });
  });

  test('does not believe figures of a job that met an error', () => {
    expect(() => parseFioOutput(fioOutput(5))).toThrow('error 5');
  });
});

describe('fioArguments()', () => {
  test('names the export for NBD, and the file with O_DIRECT for io_uring', () => {
    const overNbd = fioArguments(load, { uri: 'nbd://127.0.0.1:1', sizeBytes: 4096 });
    expect(overNbd).toEqual(expect.arrayContaining(['--ioengine=nbd', '--uri=nbd://127.0.0.1:1']));
    const onFile = fioArguments(load, { file: '/dev/shm/a', sizeBytes: 4096 });
    expect(onFile).toEqual(
      expect.arrayContaining(['--ioengine=io_uring', '--filename=/dev/shm/a', '--direct=1']),
    );
  });

  test('runs for a time only if there is one', () => {
    const whole = fioArguments(load, { file: 'f', sizeBytes: 4096 });
    expect(whole).not.toContain('--time_based');
    const timed = fioArguments(load, { file: 'f', sizeBytes: 4096, seconds: 1.5 });
    expect(timed).toEqual(expect.arrayContaining(['--time_based', '--runtime=1500ms']));
  });
});

describe('meanIops()', () => {
  const log = '1000, 10, 1, 0, 0\n1050, 20, 1, 0, 0\n1100, 40, 1, 0, 0\n1150, 5, 1, 0, 0\n';

  test('is the average of the entries between two moments', () => {
    expect(meanIops(log, 1000, 1049)).toBe(20);
    expect(meanIops(log, 1000, 1050)).toBe(30);
  });

  test('fails where the log has nothing', () => {
    expect(() => meanIops(log, 2000, 3000)).toThrow('nothing from 2000');
  });
});
