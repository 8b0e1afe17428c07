/**
 * Roles of client certificates. Either a file gives them to common names, as tokens have them; or the certificate says
 * it: its organization (O) is `varve:<role>`, and a node's host is the NQN in a URI of its alternative names, or
 * `nqn.2014-08.org.nvmexpress:uuid:<CN>` if the common name is a UUID (a common name has no room for an NQN).
 *
 * What is judged here was signed by the authority of clients already.
 */
import type { PeerCertificate } from 'node:tls';

import { hostNqnSchema } from '@varve/contract/host';

import { type Caller, parseCaller } from './caller.ts';
import { parseRoleLines } from './role-lines.ts';
import { WatchedFiles, type WatchedFilesDependencies } from './watched-files.ts';

/** An organization of this beginning names a role. */
const organizationPrefix = 'varve:';
const uuidNqnPrefix = 'nqn.2014-08.org.nvmexpress:uuid:';

/** Gives certificates their roles. */
export class CertificateRoles {
  readonly #files: WatchedFiles<ReadonlyMap<string, Caller>> | undefined;

  /** @throws ProblemError `invalid-argument` if the file cannot be used. */
  constructor(rolesFile: string | undefined, dependencies: WatchedFilesDependencies) {
    if (rolesFile === undefined) return;
    this.#files = new WatchedFiles(
      { paths: [rolesFile], what: 'file of client roles' },
      ([text = '']) => parseRoleLines(text, { checkKey: () => undefined }),
      dependencies,
    );
  }

  /** Whose certificate this is; undefined if it gives no role. */
  find(certificate: PeerCertificate): Caller | undefined {
    const { names, organizations } = readSubject(certificate);
    if (this.#files !== undefined) {
      const [name] = names;
      return names.length === 1 && name !== undefined ? this.#files.content.get(name) : undefined;
    }
    const roles = organizations.filter((each) => each.startsWith(organizationPrefix));
    const [organization] = roles;
    if (organization === undefined || roles.length > 1) return undefined;
    const role = organization.slice(organizationPrefix.length);
    const caller = parseCaller(role, role === 'node' ? hostNqnOf(certificate, names) : undefined);
    return typeof caller === 'string' ? undefined : caller;
  }

  /** Why a certificate gives no role. */
  explainUnknown(certificate: PeerCertificate): string {
    const { names, organizations } = readSubject(certificate);
    const subject = `CN=${names.join('+')}, O=${organizations.join('+')}`;
    return this.#files === undefined
      ? `the certificate of ${subject} gives no role: O must be ${organizationPrefix}<role>, ` +
          "and a node's must name its host"
      : `the certificate of ${subject} has no role here: its CN is not in the file of client roles`;
  }
}

function readSubject({ subject }: PeerCertificate): {
  readonly names: readonly string[];
  readonly organizations: readonly string[];
} {
  // Node.js gives a list if there are several, and nothing at all if there is no subject.
  const { CN = [], O = [] } = (subject ?? {}) as Readonly<
    Partial<Record<'CN' | 'O', string | readonly string[]>>
  >;
  return { names: [CN].flat(), organizations: [O].flat() };
}

function hostNqnOf(certificate: PeerCertificate, names: readonly string[]): string | undefined {
  const nqns = urisOf(certificate).filter((uri) => hostNqnSchema.safeParse(uri).success);
  if (nqns.length > 0) return nqns.length === 1 ? nqns[0] : undefined;
  const candidates = names.map((name) => uuidNqnPrefix + name.toLowerCase());
  return candidates.length === 1 && hostNqnSchema.safeParse(candidates[0]).success
    ? candidates[0]
    : undefined;
}

/** Node.js gives all names as one text, those with commas or quotes as JSON strings. */
function urisOf({ subjectaltname = '' }: PeerCertificate): readonly string[] {
  const found = subjectaltname.matchAll(/(?:^|, )URI:("(?:[^"\\]|\\.)*"|[^,]*)/g);
  return [...found].map(([, value = '']) =>
    value.startsWith('"') ? (JSON.parse(value) as string) : value,
  );
}
