import type { Candidate, FileRemark } from '../../../contract/models.ts';

/** What files of one format offer, and what is to be said of those that offer nothing. */
export interface Offer {
  readonly candidates: readonly Candidate[];
  readonly problems: readonly FileRemark[];
  readonly notes: readonly FileRemark[];
  /** The licence that the weights name themselves. */
  readonly license: string | null;
}
