import { expect, test } from '@jest/globals';

import { parsePauses } from './gc-log.ts';

const log = `\
[1507:0x7fdffc001000]       14 ms: Scavenge 3.5 (4.5) -> 2.8 (5.5) MB, pooled: 0 MB, 0.67 / 0.00 ms  (average mu = 1.000, current mu = 1.000) allocation failure;
{"level":"warn","msg":"12 ms: Scavenge, 9.00 / 0.00 ms"}
[1507:0x55d1aa2c1000]      185 ms: Mark-Compact 23.9 (52.6) -> 20.8 (54.3) MB, pooled: 0 MB, 23.77 / 0.00 ms  (+ 1.2 ms in 43 steps since start of marking, biggest step 0.1 ms, walltime since start of marking 38 ms) (average mu = 0.865, current mu = 0.865) finalize incremental marking via stack guard; GC in old space requested
[1507:0x55d1aa2c1000]      185 m`;

test('parsePauses() finds whole lines of pauses, with thread, kind and length', () => {
  expect(parsePauses(log)).toEqual([
    { isolate: '0x7fdffc001000', kind: 'Scavenge', ms: 0.67 },
    { isolate: '0x55d1aa2c1000', kind: 'Mark-Compact', ms: 23.77 },
  ]);
});
