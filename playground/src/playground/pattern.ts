/** Bytes that look random and are the same for the same name: what is written can be told from everything else. */
import { createCipheriv, createHash } from 'node:crypto';

/** That many bytes of the pattern of a name (the key stream of AES-CTR under the name's hash). */
export function patternBytes(name: string, lengthBytes: number): Buffer {
  const key = createHash('sha256').update(name).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return cipher.update(Buffer.alloc(lengthBytes));
}
