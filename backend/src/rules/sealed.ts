import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const ivBytes = 12;
const tagBytes = 16;

/** Encrypts secrets that have to be read again (AES-256-GCM), so that a copy of the database alone does not tell them. */
export class Seal {
  readonly #key: Buffer;

  constructor(rootSecret: Buffer) {
    this.#key = Buffer.from(hkdfSync('sha256', rootSecret, '', 'cortex sealed secrets', 32));
  }

  /** @param about what the secret belongs to: a sealed text opens for nothing else */
  close(text: string, about: string): string {
    const iv = randomBytes(ivBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv).setAAD(Buffer.from(about));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([iv, sealed, cipher.getAuthTag()]).toString('base64');
  }

  /** Null where it was sealed with another secret, for something else, or was changed. */
  open(sealed: string, about: string): string | null {
    const bytes = Buffer.from(sealed, 'base64');
    if (bytes.length < ivBytes + tagBytes) return null;
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, ivBytes))
      .setAAD(Buffer.from(about))
      .setAuthTag(bytes.subarray(-tagBytes));
    try {
      return `${decipher.update(bytes.subarray(ivBytes, -tagBytes), undefined, 'utf8')}${decipher.final('utf8')}`;
    } catch {
      return null;
    }
  }
}
