/** A certificate authority of the moment, made with openssl, and a certificate for this machine's loopback. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files of a server, and what its clients trust. */
export interface TestCertificates {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** PEM. */
  readonly authority: string;
}

/** Makes them in a folder. */
export function createTestCertificates(folder: string): TestCertificates {
  const openssl = (...options: string[]): void => {
    execFileSync('openssl', options, { cwd: folder, stdio: 'pipe' });
  };
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = ['-x509', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test-ca'];
  openssl('req', ...curve, ...authority, '-days', '1');
  openssl('req', ...curve, '-keyout', 'tls.key', '-out', 'tls.csr', '-subj', '/CN=localhost');
  writeFileSync(join(folder, 'names.cnf'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names.cnf'];
  openssl('x509', '-req', '-in', 'tls.csr', '-out', 'tls.pem', '-days', '1', ...signing);
  return {
    certificateFile: join(folder, 'tls.pem'),
    keyFile: join(folder, 'tls.key'),
    authority: readFileSync(join(folder, 'ca.pem'), 'utf8'),
  };
}
