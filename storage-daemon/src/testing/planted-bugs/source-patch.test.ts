import { describe, expect, test } from '@jest/globals';

import { applyPatch } from './source-patch.ts';

describe('applyPatch()', () => {
  const source = 'if (birth > epoch) free();\nif (a > b) keep();\n';

  test('replaces text that is there exactly once', () => {
    const patch = { file: 'x.ts', find: 'birth > epoch', replace: 'birth >= epoch' };
    expect(applyPatch(source, patch)).toBe('if (birth >= epoch) free();\nif (a > b) keep();\n');
  });

  const refused: Readonly<Record<string, { find: string; replace: string }>> = {
    'text that is not there': { find: 'birth < epoch', replace: '' },
    'text that is there twice': { find: 'if (', replace: 'while (' },
    'a change of nothing': { find: 'free()', replace: 'free()' },
  };
  for (const [name, patch] of Object.entries(refused)) {
    test(`refuses ${name}`, () => {
      expect(() => applyPatch(source, { file: 'x.ts', ...patch })).toThrow(
        'planting a bug in x.ts',
      );
    });
  }
});
