/**
 * The repository's own rules, as tests: what a formatter and a linter cannot see. A rule that must be broken for a good reason gets
 * a named exception here, with the reason, never a looser bound.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const root = resolve(import.meta.dirname, '../..');
const trackedFiles = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard'],
  {
    cwd: root,
    encoding: 'utf8',
  },
)
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)));
const sources = trackedFiles.filter((file) => file.endsWith('.ts') && !file.includes('/testdata/'));
const documents = trackedFiles.filter((file) => file.endsWith('.md'));
const manifests = trackedFiles.filter((file) => basename(file) === 'package.json');

const sourceLinesMax = 600;
const testLinesMax = 900;
const lineColumnsMax = 120;
const sourcesPerFolderMax = 20;
const blobBytesMax = 512 * 1024;
const forbiddenNames =
  /^(utils?|helpers?|types|misc|common-types)(\.test)?\.ts$|(^|\/)(utils|helpers|misc)\//;

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

function isTest(file: string): boolean {
  return file.endsWith('.test.ts');
}

/** Names of exported declarations that no doc comment precedes. */
function undocumentedExports(text: string): string[] {
  const lines = text.split('\n');
  const missing: string[] = [];
  lines.forEach((line, index) => {
    const found =
      /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|const|interface|type|enum) (\w+)/.exec(
        line,
      );
    if (found?.[1] === undefined) return;
    const above = lines[index - 1]?.trimEnd() ?? '';
    if (!above.endsWith('*/') && !isOverload(lines, index, found[1])) missing.push(found[1]);
  });
  return missing;
}

function isOverload(lines: readonly string[], index: number, name: string): boolean {
  return lines
    .slice(0, index)
    .some((line) => new RegExp(`^export (?:async )?function ${name}\\b`).test(line));
}

describe('sources', () => {
  test('the repository has sources to check', () => {
    expect(sources.length).toBeGreaterThan(5);
  });

  test(`no file is longer than ${sourceLinesMax} lines (tests ${testLinesMax})`, () => {
    const tooLong = sources
      .map((file) => ({ file, lines: read(file).split('\n').length - 1 }))
      .filter(({ file, lines }) => lines > (isTest(file) ? testLinesMax : sourceLinesMax));
    expect(tooLong).toEqual([]);
  });

  test(`no line is longer than ${lineColumnsMax} columns`, () => {
    const tooLong = sources
      .filter((file) => !isTest(file))
      .flatMap((file) =>
        read(file)
          .split('\n')
          .flatMap((line, index) => (line.length > lineColumnsMax ? [`${file}:${index + 1}`] : [])),
      );
    expect(tooLong).toEqual([]);
  });

  test('file names are kebab-case nouns, and nothing is called utils, helpers, types or misc', () => {
    const wrong = sources.filter(
      (file) =>
        !/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/.test(basename(file)) || forbiddenNames.test(file),
    );
    expect(wrong).toEqual([]);
  });

  test(`no folder holds more than ${sourcesPerFolderMax} sources`, () => {
    const counts = new Map<string, number>();
    for (const file of sources.filter((each) => !isTest(each))) {
      counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
    }
    expect([...counts].filter(([, count]) => count > sourcesPerFolderMax)).toEqual([]);
  });

  test('every export has a doc comment', () => {
    const missing = sources
      .filter((file) => !isTest(file))
      .flatMap((file) => undocumentedExports(read(file)).map((name) => `${file}: ${name}`));
    expect(missing).toEqual([]);
  });

  test('nothing is left to do without an issue', () => {
    const marks = sources
      .filter((file) => file !== 'tools/tidy.test.ts')
      .filter((file) => /\b(TODO(?! \(#\d+\))|FIXME|XXX)\b/.test(read(file)));
    expect(marks).toEqual([]);
  });

  test('no test is switched off or singled out', () => {
    const marks = sources
      .filter((file) => file !== 'tools/tidy.test.ts')
      .filter((file) =>
        /\b(describe|test|it)\.(only|failing|todo)\(|\b(xit|xdescribe|fdescribe|fit)\(/.test(
          read(file),
        ),
      );
    expect(marks).toEqual([]);
  });
});

describe('packages', () => {
  test('every dependency is pinned to one version', () => {
    const loose = manifests.flatMap((file) => {
      const manifest = JSON.parse(read(file)) as Record<string, Record<string, string> | undefined>;
      return ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((section) =>
        Object.entries(manifest[section] ?? {})
          .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
          .map(([name, version]) => `${file}: ${name} ${version}`),
      );
    });
    expect(loose).toEqual([]);
  });

  test('the lock file names no address to download from', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved": "[a-z+]+:\/\//);
  });

  test('every program and library has a README', () => {
    const { workspaces } = JSON.parse(read('package.json')) as { workspaces: string[] };
    expect(
      workspaces.filter((workspace) => !existsSync(join(root, workspace, 'README.md'))),
    ).toEqual([]);
  });
});

describe('documents', () => {
  test('every relative link leads to a file', () => {
    const broken = documents.flatMap((file) =>
      [...read(file).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map((match) => match[1] ?? '')
        .filter((target) => !existsSync(resolve(root, dirname(file), target)))
        .map((target) => `${file}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test('every npm command in README and docs exists', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const unknown = documents.flatMap((file) =>
      [...read(file).matchAll(/\bnpm run(?: -s| --silent)? ([\w:-]+)/g)]
        .map((match) => match[1] ?? '')
        .filter((name) => scripts[name] === undefined)
        .map((name) => `${file}: npm run ${name}`),
    );
    expect(unknown).toEqual([]);
  });
});

describe('files', () => {
  test(`no file is larger than ${blobBytesMax} bytes, the lock file aside`, () => {
    const large = trackedFiles
      .filter((file) => basename(file) !== 'package-lock.json')
      .filter((file) => statSync(join(root, file)).size > blobBytesMax);
    expect(large).toEqual([]);
  });

  test('only scripts are executable', () => {
    const executable = trackedFiles.filter(
      (file) =>
        (statSync(join(root, file)).mode & 0o111) !== 0 && !/\.(sh|mjs)$|^\.ci\/run$/.test(file),
    );
    expect(executable).toEqual([]);
  });
});
