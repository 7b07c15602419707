import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseEnvFile } from './env-file.ts';
import { CortexError } from './errors.ts';

const parse = (text: string) => Object.fromEntries(parseEnvFile(text, 'backend/.env', ['OFFLINE_MODE', 'VLLM_IMAGE']));

describe('a file of settings', () => {
  it('understands what people write: comments, quotes, export and Windows line ends', () => {
    const text =
      '# head\r\nOFFLINE_MODE=True                    # Prevent pulls\r\nexport A="x # y"\nB=\'z\'\nC=\nD=a#b\n';
    expect(parse(text)).toEqual({ OFFLINE_MODE: 'True', A: 'x # y', B: 'z', C: '', D: 'a#b' });
  });
  it('finds two settings that ran together because the line above had no end', () => {
    expect(() => parse('ORG=HAFOFFLINE_MODE=True')).toThrow(
      /line 1: two settings are on one line: ORG and OFFLINE_MODE/,
    );
  });
  it('refuses what follows a closing quote, and a line that is no setting', () => {
    expect(() => parse('A="x"OFFLINE_MODE=True')).toThrow(/quotes of A/);
    expect(() => parse('A=1\njust words')).toThrow(/line 2/);
  });
  it('reads any text or refuses it with the line at fault', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(CortexError);
        }
      }),
    );
  });
});
