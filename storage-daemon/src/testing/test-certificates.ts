/** A certificate authority of the moment, made with openssl, and certificates of it. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files of a server, and what its clients trust. */
export interface TestCertificates {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly authorityFile: string;
  /** PEM. */
  readonly authority: string;
}

/** PEM texts of a client. */
export interface TestClientCertificate {
  readonly certificate: string;
  readonly key: string;
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function openssl(folder: string, ...options: string[]): void {
  execFileSync('openssl', options, { cwd: folder, stdio: 'pipe' });
}

/** Makes an authority and a certificate for this machine's loopback, in a folder. */
export function createTestCertificates(folder: string): TestCertificates {
  const authority = ['-x509', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test-ca'];
  openssl(folder, 'req', ...curve, ...authority, '-days', '1');
  sign(folder, 'tls', { subject: '/CN=localhost', names: 'DNS:localhost,IP:127.0.0.1' });
  return {
    certificateFile: join(folder, 'tls.pem'),
    keyFile: join(folder, 'tls.key'),
    authorityFile: join(folder, 'ca.pem'),
    authority: readFileSync(join(folder, 'ca.pem'), 'utf8'),
  };
}

/** Makes a certificate of a client by the authority of a folder; `names` are its alternative names, if any. */
export function createClientCertificate(
  folder: string,
  subject: { readonly subject: string; readonly names?: string },
): TestClientCertificate {
  sign(folder, 'client', subject);
  return {
    certificate: readFileSync(join(folder, 'client.pem'), 'utf8'),
    key: readFileSync(join(folder, 'client.key'), 'utf8'),
  };
}

function sign(
  folder: string,
  file: string,
  { subject, names }: { readonly subject: string; readonly names?: string },
): void {
  const request = ['-keyout', `${file}.key`, '-out', `${file}.csr`, '-subj', subject];
  openssl(folder, 'req', ...curve, ...request);
  writeFileSync(join(folder, 'names.cnf'), names === undefined ? '' : `subjectAltName=${names}\n`);
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names.cnf'];
  openssl(
    folder,
    'x509',
    '-req',
    '-in',
    `${file}.csr`,
    '-out',
    `${file}.pem`,
    '-days',
    '1',
    ...signing,
  );
}
