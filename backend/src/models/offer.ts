import type { Candidate, FileRemark } from '../../../contract/models.ts';

/** What files of one format offer, and what is to be said of those that offer nothing. */
export interface Offer {
  readonly candidates: readonly Candidate[];
  readonly problems: readonly FileRemark[];
  readonly notes: readonly FileRemark[];
  /** The licence that the weights name themselves. */
  readonly license: string | null;
}

const longestShown = 100;

/** A text from a file as it may stand on a page or in a log: on one line, and no longer than a name is. */
export const printable = (text: string): string =>
  text
    .slice(0, 4 * longestShown)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim()
    .slice(0, longestShown);
